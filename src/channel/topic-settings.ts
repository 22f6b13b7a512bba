/**
 * Settings of topics: what the configuration says about channels, by name or by a template with `{symbol}`.
 *
 * Pure; the engine and every edge worker make their own from the same list. Invariants: a name written out beats any
 * template, and of templates the one with more text of its own; what nothing speaks of has PLAIN.
 */
import { topicKind } from "./kinds.ts";
import { isSymbol, parseAllMarketName, parseChannelName } from "./name.ts";

/** As it is configured (DESIGN 11). */
export interface TopicSpec {
  readonly topic: string;
  readonly version?: number | undefined;
  /** Flushes per second of a subscription, at most. */
  readonly rate?: number | undefined;
  /** Flushes that may go at once after silence; needs `rate`. */
  readonly burst?: number | undefined;
  readonly auth?: "public" | "private" | undefined;
  /** What a lossless channel does to a session that does not keep up. */
  readonly onSlow?: "wait" | "gap" | undefined;
  /** How much is kept for those who come back with `since`. */
  readonly history?: { readonly count?: number | undefined; readonly seconds?: number | undefined } | undefined;
}

/** Flushes of one stream: `perSecond` in the long run, `burst` at once after silence. */
export interface Pace {
  readonly perSecond: number;
  readonly burst: number;
}

export interface TopicSetting {
  /** Least ms between two flushes: the ceiling of every cadence. 0: none. */
  readonly periodMsMin: number;
  /** Null: flushes only at the instants of the cadence. */
  readonly pace: Pace | null;
  readonly auth: "public" | "private";
  readonly onSlow: "wait" | "gap";
  readonly history: { readonly count?: number | undefined; readonly seconds?: number | undefined };
}

export const PLAIN: TopicSetting = { periodMsMin: 0, pace: null, auth: "public", onSlow: "wait", history: {} };

const SYMBOL = "{symbol}";

interface Template {
  readonly before: string;
  readonly after: string;
  readonly setting: TopicSetting;
}

/** Whether a market has an instrument of that symbol. */
export type HasSymbol = (market: string, symbol: string) => boolean;

export class TopicSettings {
  readonly #exact = new Map<string, TopicSetting>();
  /** The one that says most first. */
  #templates: readonly Template[] = [];
  readonly #defaultMarket: string;
  readonly #hasSymbol: HasSymbol;

  /** Without `hasSymbol` whatever looks like a symbol is one. */
  constructor(specs: readonly TopicSpec[], defaultMarket: string, hasSymbol: HasSymbol = () => true) {
    this.#defaultMarket = defaultMarket;
    this.#hasSymbol = hasSymbol;
    this.replace(specs);
  }

  /** Other settings from now on; who asked before has what was said then. */
  replace(specs: readonly TopicSpec[]): void {
    this.#exact.clear();
    const templates: Template[] = [];
    for (const spec of specs) {
      const topic = canonicalTopic(spec.topic, this.#defaultMarket);
      const [before = "", after] = topic.split(SYMBOL);
      if (after === undefined) this.#exact.set(topic, settingOf(spec));
      else templates.push({ before, after, setting: settingOf(spec) });
    }
    const text = ({ before, after }: Template): number => before.length + after.length;
    this.#templates = templates.sort((a, b) => text(b) - text(a));
  }

  /** Of a channel name in any spelling. */
  of(channel: string): TopicSetting {
    if (this.#exact.size === 0 && this.#templates.length === 0) return PLAIN;
    const name = canonicalTopic(channel, this.#defaultMarket);
    const exact = this.#exact.get(name);
    if (exact !== undefined) return exact;
    return this.#templates.find((template) => this.#matches(template, name))?.setting ?? PLAIN;
  }

  #matches({ before, after }: Template, name: string): boolean {
    if (!name.startsWith(before) || !name.endsWith(after)) return false;
    const symbol = name.slice(before.length, name.length - after.length);
    const colon = before.indexOf(":");
    return isSymbol(symbol) && this.#hasSymbol(colon < 0 ? this.#defaultMarket : before.slice(0, colon), symbol);
  }
}

/** The same topic always in the same spelling: no prefix for the default market. */
export function canonicalTopic(topic: string, defaultMarket: string): string {
  const prefix = `${defaultMarket}:`;
  return topic.startsWith(prefix) ? topic.slice(prefix.length) : topic;
}

/** Whether it is a channel name, or would be with a symbol in the place of `{symbol}`. */
export function isTopic(topic: string, defaultMarket: string): boolean {
  const parts = topic.split(SYMBOL);
  if (parts.length > 2) return false;
  const name = parts.join("x");
  return parseChannelName(name, defaultMarket) !== null || parseAllMarketName(name, defaultMarket) !== null;
}

function settingOf({
  topic,
  rate,
  burst = 0,
  auth = "public",
  onSlow = "wait",
  history = {},
}: TopicSpec): TopicSetting {
  // What belongs to one user is never held back.
  const isPaced = rate !== undefined && topicKind(topic).kind !== "private";
  return {
    periodMsMin: isPaced ? 1000 / rate : 0,
    pace: isPaced && burst > 0 ? { perSecond: rate, burst } : null,
    auth,
    onSlow,
    history,
  };
}
