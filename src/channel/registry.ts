/**
 * The instruments registry: which instruments and topics exist, and so which channel names are known.
 *
 * Invariants: one spelling per (market, symbol); an unknown name leaves no trace here, so asking costs no state. The cache
 * of resolved names is bounded by instruments x streams. Listeners hear of a change after it is visible.
 */
import { GatewayError } from "../lib/errors.ts";
import type { Catalog, Channel } from "./channel.ts";
import { stepOf } from "./decimal.ts";
import type { Instrument } from "./instruments.ts";
import { familyOf, memberStream, streamKind, topicKind } from "./kinds.ts";
import { allMarketName, channelName, isMarket, parseAllMarketName, parseChannelName, symbolOf } from "./name.ts";
import type { Family, Kind } from "./types.ts";

/** An instrument as config or a source tells it; its symbol follows from the spelling. */
export type InstrumentSpec = Omit<Instrument, "symbol" | "inferred"> & { readonly inferred?: boolean };

export type InstrumentChange = Partial<Omit<Instrument, "market" | "symbol" | "spelling">>;

export type InstrumentListener = (instrument: Instrument, previous: Instrument | null) => void;

/** The bare topic that tells changes of instruments, unless it is configured to come from a source. */
const INSTRUMENTS = "instrument";

interface Topic {
  readonly kind: Kind;
  readonly family: Family;
}

/** Quote assets by which a spelling without separators is split, longer ones first. */
const QUOTES = ["FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD", "EUR", "GBP", "JPY", "TRY", "BTC", "ETH", "BNB"];

export class InstrumentRegistry implements Catalog {
  readonly defaultMarket: string;
  /** market -> symbol -> instrument */
  readonly #symbols = new Map<string, Map<string, Instrument>>();
  /** market -> spelling -> instrument */
  readonly #spellings = new Map<string, Map<string, Instrument>>();
  readonly #topics = new Map<string, Topic>();
  readonly #resolved = new Map<string, Channel>();
  readonly #listeners = new Set<InstrumentListener>();
  #changes = 0;

  constructor(defaultMarket = "spot") {
    this.defaultMarket = defaultMarket;
  }

  /** Rises whenever an instrument is added or changes. */
  get changes(): number {
    return this.#changes;
  }

  /** Adds an instrument, or replaces the one of the same spelling. */
  add(spec: InstrumentSpec): Instrument {
    const instrument: Instrument = { inferred: false, ...spec, symbol: symbolOf(spec.spelling) };
    const { market, symbol, spelling } = instrument;
    if (!isMarket(market) || parseChannelName(`${market}:${symbol}@depth`, market) === null) {
      throw new GatewayError("BAD_INSTRUMENT", `"${market}:${spelling}" makes no channel name: change its spelling`);
    }
    const previous = this.find(market, symbol);
    if (previous !== null && previous.spelling !== spelling) {
      throw new GatewayError(
        "SYMBOL_CLASH",
        `"${spelling}" and "${previous.spelling}" both make the symbol ${symbol} in market ${market}: keep one of them`,
      );
    }
    this.#store(instrument, previous);
    return instrument;
  }

  /** Changes an instrument; nothing happens if nothing differs. */
  update(market: string, symbol: string, change: InstrumentChange): Instrument {
    const previous = this.find(market, symbol);
    if (previous === null) throw new GatewayError("UNKNOWN_INSTRUMENT", `no instrument ${market}:${symbol}`);
    const differs = Object.entries(change).some(([name, value]) => previous[name as keyof Instrument] !== value);
    if (!differs) return previous;
    const instrument = { ...previous, ...change };
    this.#store(instrument, previous);
    return instrument;
  }

  /** The instrument of a source's spelling; made on first sight, its tick and lot grow with the decimals seen (`seen`). */
  learn(market: string, spelling: string, base?: string, quote?: string): Instrument {
    const known = this.bySpelling(market, spelling);
    if (known !== null) return known;
    const [guessedBase, guessedQuote] = splitSpelling(spelling);
    return this.add({
      market,
      spelling,
      base: base ?? guessedBase,
      quote: quote ?? guessedQuote,
      tick: "1",
      lot: "1",
      status: "trading",
      inferred: true,
    });
  }

  /** Decimals seen in data: makes an inferred instrument's tick and lot fine enough for them. */
  seen(market: string, symbol: string, priceDecimals: number, quantityDecimals: number): void {
    const instrument = this.find(market, symbol);
    if (instrument === null || !instrument.inferred) return;
    const tick = finer(instrument.tick, priceDecimals);
    const lot = finer(instrument.lot, quantityDecimals);
    this.update(market, symbol, { tick, lot });
  }

  find(market: string, symbol: string): Instrument | null {
    return this.#symbols.get(market)?.get(symbol) ?? null;
  }

  bySpelling(market: string, spelling: string): Instrument | null {
    return this.#spellings.get(market)?.get(spelling) ?? null;
  }

  /** All instruments, or those of one market, in the order they were added. */
  list(market?: string): Instrument[] {
    const markets = market === undefined ? [...this.#symbols.values()] : [this.#symbols.get(market) ?? new Map()];
    return markets.flatMap((symbols) => [...symbols.values()]);
  }

  /** Makes a bare topic known, or one full channel name that has no kind of its own. */
  addTopic(name: string, kind?: Kind, family?: Family): void {
    const parsed = parseChannelName(name, this.defaultMarket);
    if (parsed === null) throw new GatewayError("BAD_CHANNEL_NAME", `"${name}" is not a channel name`);
    const isBare = parsed.symbol === "";
    if (!isBare && streamKind(parsed.stream).kind !== "json") {
      throw new GatewayError("BAD_TOPIC", `"${name}" is a ${streamKind(parsed.stream).kind} channel already`);
    }
    const known = isBare ? topicKind(parsed.stream) : streamKind(parsed.stream);
    const topicOf = kind ?? known.kind;
    const familyDefault = kind === undefined ? known.family : familyOf(kind);
    const canonical = channelName(parsed.market, parsed.symbol, parsed.stream, this.defaultMarket);
    this.#topics.set(canonical, { kind: topicOf, family: family ?? familyDefault });
    this.#resolved.clear();
  }

  resolve(name: string): Channel | null {
    const cached = this.#resolved.get(name);
    if (cached !== undefined) return cached;
    const channel = this.#build(name);
    if (channel !== null) this.#resolved.set(name, channel);
    return channel;
  }

  /** Calls `listener` after every change; the returned function ends that. */
  onChange(listener: InstrumentListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #build(name: string): Channel | null {
    const parsed = parseChannelName(name, this.defaultMarket);
    if (parsed === null) return this.#buildAllMarket(name);
    const { market, symbol, stream } = parsed;
    const canonical = channelName(market, symbol, stream, this.defaultMarket);
    const instrument = symbol === "" ? null : this.find(market, symbol);
    const topic = this.#topics.get(canonical);
    const ofRegistry = topic === undefined && canonical === INSTRUMENTS;
    const builtIn = ofRegistry ? topicKind(stream) : streamKind(stream);
    if (topic === undefined && !ofRegistry && (instrument === null || builtIn.kind === "json")) return null;
    const of = (other: string): string => channelName(market, symbol, other, this.defaultMarket);
    const derivedFrom = builtIn.derived === "depth" ? of("depth") : "";
    const made = topic === undefined && builtIn.made !== undefined ? builtIn.made : null;
    return {
      name: canonical,
      market,
      symbol,
      stream,
      kind: topic?.kind ?? builtIn.kind,
      family: topic?.family ?? builtIn.family,
      interval: topic === undefined ? builtIn.interval : "",
      levels: topic === undefined ? builtIn.levels : 0,
      derivedFrom: topic === undefined ? derivedFrom : "",
      instrument,
      ...(made === null ? {} : { made: { ...made, from: of(made.from) } }),
      ...(ofRegistry ? { ofRegistry } : {}),
    };
  }

  /** Known for every market: its instruments may come later. */
  #buildAllMarket(name: string): Channel | null {
    const parsed = parseAllMarketName(name, this.defaultMarket);
    const member = parsed === null ? null : memberStream(parsed.stream);
    if (parsed === null || member === null) return null;
    return {
      name: allMarketName(parsed.market, parsed.stream, this.defaultMarket),
      market: parsed.market,
      symbol: "",
      stream: parsed.stream,
      kind: member === "instrument" ? "instrument" : streamKind(member).kind,
      family: "value",
      interval: "",
      levels: 0,
      derivedFrom: "",
      instrument: null,
      all: member,
    };
  }

  #store(instrument: Instrument, previous: Instrument | null): void {
    nested(this.#symbols, instrument.market).set(instrument.symbol, instrument);
    nested(this.#spellings, instrument.market).set(instrument.spelling, instrument);
    // Changes are rare; what was resolved holds the old instrument.
    this.#resolved.clear();
    this.#changes++;
    for (const listener of this.#listeners) listener(instrument, previous);
  }
}

function nested<V>(maps: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let inner = maps.get(key);
  if (inner === undefined) {
    inner = new Map();
    maps.set(key, inner);
  }
  return inner;
}

/** `step`, or the step of `decimals` digits if that is finer. */
function finer(step: string, decimals: number): string {
  const candidate = stepOf(decimals);
  return candidate.length > step.length ? candidate : step;
}

/** Base and quote by the first separator, else by a well-known quote asset, else all base. */
export function splitSpelling(spelling: string): [base: string, quote: string] {
  const parts = spelling.toUpperCase().split(/[^\p{L}\p{Nd}]+/u);
  if (parts.length > 1) return [parts[0] ?? "", parts[1] ?? ""];
  const whole = parts[0] ?? "";
  const quote = QUOTES.find((asset) => whole.length > asset.length && whole.endsWith(asset));
  return quote === undefined ? [whole, ""] : [whole.slice(0, -quote.length), quote];
}
