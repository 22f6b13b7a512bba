/**
 * The place of a mapping: which channel the updates of a record get, by its `ws_topic`.
 *
 * On the path: source -> mapper (PLACE) -> derive. Without `{symbol}` it is always the same channel, and records that name
 * another symbol are unmatched: a mapping never mixes two instruments. With `{symbol}` it is that of the source topic, else
 * the record's. A market whose instruments are listed in the configuration knows only these; of any other market new
 * symbols are learned.
 * At the limit: CACHED_MAX spellings are remembered, then all are forgotten.
 */

import { channelName, parseChannelName, symbolOf } from "../../channel/name.ts";
import type { InstrumentRegistry } from "../../channel/registry.ts";
import { assert } from "../../lib/errors.ts";
import type { Learn, Malformed, Skipped } from "./mapper.ts";

const SYMBOL = "{symbol}";
const CACHED_MAX = 100_000;

/** Of a topic that stands for no symbol of ours. */
export const UNMATCHED: Skipped = { skipped: "unmatched", advice: "list its symbol in instruments" };
export const FILTERED: Skipped = { skipped: "filtered" };
const NO_SYMBOL: Malformed = { malformed: "no symbol" };
const REFUSED: Malformed = { malformed: "refused symbol" };

export interface PlaceTools {
  readonly registry: Pick<InstrumentRegistry, "find" | "defaultMarket">;
  readonly learn: Learn;
  /** Whether the configuration lists the instruments of a market. */
  readonly listed: (market: string) => boolean;
}

export class Place {
  readonly topic: string;
  readonly market: string;
  readonly stream: string;
  /** Of the only instrument; '' for a template or a bare topic. */
  readonly #symbol: string;
  readonly #isTemplate: boolean;
  readonly #tools: PlaceTools;
  readonly #unlisted: string;
  readonly #another: string;
  readonly #known = new Map<string, string>();

  /** `topic` has passed the checks of the configuration. */
  constructor(topic: string, tools: PlaceTools) {
    const { defaultMarket } = tools.registry;
    const parsed = parseChannelName(topic.replace(SYMBOL, "x"), defaultMarket);
    assert(parsed !== null, `"${topic}" is a channel or a template of channels`);
    this.#isTemplate = topic.includes(SYMBOL);
    this.market = parsed.market;
    this.stream = parsed.stream;
    this.#symbol = this.#isTemplate ? "" : parsed.symbol;
    this.topic = this.#isTemplate ? topic : channelName(parsed.market, parsed.symbol, parsed.stream, defaultMarket);
    this.#tools = tools;
    this.#unlisted = `list it in instruments, market ${this.market}`;
    this.#another = `give it a mapping of its own: this one is for ${this.topic}`;
  }

  /**
   * The channel of a record. `told`: the symbol that its source topic stands for, '' if that says none; `spelling` and
   * `market` are what the record says itself, undefined where it is silent.
   */
  channelOf(told: string, spelling: unknown, market: unknown): string | Malformed | Skipped {
    const named = typeof spelling === "string" ? spelling : "";
    if (typeof market === "string" && this.market !== "" && market !== this.market) {
      return { skipped: "unmatched", symbol: `${market}:${told || named}`, advice: this.#another };
    }
    if (!this.#isTemplate) {
      if (this.#symbol === "" || (told === "" && named === "")) return this.topic;
      if (symbolOf(told || named) === this.#symbol) return this.topic;
      return { skipped: "unmatched", symbol: told || named, advice: this.#another };
    }
    const asked = told || named;
    if (asked === "") return NO_SYMBOL;
    return this.#known.get(asked) ?? this.#find(asked, named);
  }

  /** `named`: how the record spells it, which is how it is learned. */
  #find(asked: string, named: string): string | Malformed | Skipped {
    const { registry, learn, listed } = this.#tools;
    const symbol = symbolOf(asked);
    if (registry.find(this.market, symbol) === null) {
      if (listed(this.market)) return { skipped: "unmatched", symbol: named || asked, advice: this.#unlisted };
      const spelling = symbolOf(named) === symbol ? named : symbol.toUpperCase();
      if (learn(this.market, spelling) === null) return REFUSED;
    }
    const channel = channelName(this.market, symbol, this.stream, registry.defaultMarket);
    if (this.#known.size >= CACHED_MAX) this.#known.clear();
    this.#known.set(asked, channel);
    return channel;
  }
}
