/**
 * Which fanout topic of the bus carries a channel, and which bus carries a fanout topic.
 *
 * Invariants: pure, made from the configuration alone, so every node of a cluster that has the same configuration comes to
 * the same topic; a channel written out in a mapping beats a template, of templates the one with more text of its own; what
 * no mapping names (derived candles and tickers) travels under its own name; private topics end with the user's hash.
 */
import { createHash } from "node:crypto";
import { isSymbol } from "../channel/name.ts";
import { canonicalTopic } from "../channel/topic-settings.ts";
import type { BusKind, MappingSpec } from "../config/dynamic/types.ts";

const SYMBOL = "{symbol}";

/** What stands around the place of `{symbol}`. */
interface Template<Value> {
  readonly before: string;
  readonly after: string;
  readonly value: Value;
}

/** Names and templates, each with what belongs to it. */
class Lookup<Value> {
  readonly #exact = new Map<string, Value>();
  #templates: Template<Value>[] = [];

  /** The first of a name stays. */
  add(name: string, value: Value): void {
    const [before = "", after] = name.split(SYMBOL);
    if (after !== undefined) {
      if (this.#templates.some((one) => one.before === before && one.after === after)) return;
      const text = (one: Template<Value>): number => one.before.length + one.after.length;
      this.#templates = [...this.#templates, { before, after, value }].sort((a, b) => text(b) - text(a));
    } else if (!this.#exact.has(name)) {
      this.#exact.set(name, value);
    }
  }

  find(name: string): { readonly value: Value; readonly symbol: string } | null {
    const exact = this.#exact.get(name);
    if (exact !== undefined) return { value: exact, symbol: "" };
    for (const { before, after, value } of this.#templates) {
      if (!name.startsWith(before) || !name.endsWith(after)) continue;
      const symbol = name.slice(before.length, name.length - after.length);
      if (isSymbol(symbol)) return { value, symbol };
    }
    return null;
  }
}

export class Fanout {
  readonly #topics = new Lookup<string>();
  readonly #buses = new Lookup<BusKind>();
  /** Buses that mappings name. */
  readonly kinds: ReadonlySet<BusKind>;
  readonly #defaultMarket: string;

  constructor(mappings: readonly MappingSpec[], defaultMarket: string) {
    this.#defaultMarket = defaultMarket;
    this.kinds = new Set(mappings.flatMap(({ bus }) => bus ?? []));
    for (const { ws_topic, fanout_topic, bus } of mappings) {
      this.#topics.add(canonicalTopic(ws_topic, defaultMarket), fanout_topic);
      if (bus !== undefined) this.#buses.add(fanout_topic, bus);
    }
  }

  /** `user`: '' for public channels. */
  topicOf(channel: string, user: string): string {
    const found = this.#topics.find(canonicalTopic(channel, this.#defaultMarket));
    const topic = found === null ? channel : found.value.replaceAll(SYMBOL, found.symbol);
    return user === "" ? topic : `${topic}.${userHash(user)}`;
  }

  /** Null: the node's. */
  busOf(topic: string): BusKind | null {
    const found = this.#buses.find(topic) ?? this.#buses.find(topic.replace(USER_HASH, ""));
    return found?.value ?? null;
  }
}

const HASH_DIGITS = 32;
const USER_HASH = new RegExp(`\\.[0-9a-f]{${HASH_DIGITS}}$`);

/** A user's name may hold what a subject may not, and is nobody's business on the way. */
export const userHash = (user: string): string => createHash("sha256").update(user).digest("hex").slice(0, HASH_DIGITS);
