/**
 * One market as REST endpoints see it: its instruments, its books, and what owners keep of its channels.
 *
 * Invariants: an unknown symbol is refused here and costs nothing; what nobody knows yet is null, not an error.
 */
import type { Instrument } from "../../../channel/instruments.ts";
import type { Candle, Item, Value } from "../../../channel/types.ts";
import { nameOf } from "../../names.ts";
import type { Moments } from "./moment.ts";
import type { BinanceRestPorts, DepthReply, Kept } from "./ports.ts";
import { refuse } from "./replies.ts";

export type Book = Exclude<DepthReply, { readonly unavailable: true }>;

export class Market {
  readonly name: "spot" | "usdm";
  readonly #ports: BinanceRestPorts;
  readonly #moments: Moments;

  constructor(name: "spot" | "usdm", ports: BinanceRestPorts, moments: Moments) {
    this.name = name;
    this.#ports = ports;
    this.#moments = moments;
  }

  get isSpot(): boolean {
    return this.name === "spot";
  }

  find(symbol: string): Instrument {
    const instrument = this.#ports.instruments.find(this.name, symbol.toLowerCase());
    if (instrument === null) throw refuse.symbol();
    return instrument;
  }

  list(): readonly Instrument[] {
    return this.#ports.instruments.list(this.name);
  }

  /** Null: there is no book to be trusted now. */
  async book({ symbol }: Instrument, limit: number): Promise<Book | null> {
    const reply = await this.#ports.depth(nameOf(this.name, symbol, "depth"), limit);
    return "unavailable" in reply ? null : reply;
  }

  /** The latest value of a stream, with its time; null if there is none. */
  async value<V extends Value>({ symbol }: Instrument, stream: string): Promise<{ data: V; time: number } | null> {
    const kept = await this.#kept(symbol, stream);
    // A stream's values are those of its kind: that is what the callers' types rely on.
    return kept?.state?.type === "value" ? { data: kept.state.data as V, time: kept.time } : null;
  }

  /** What is kept of a lossless stream, oldest first. */
  async items<I extends Item>({ symbol }: Instrument, stream: string): Promise<readonly I[]> {
    const kept = await this.#kept(symbol, stream);
    return (kept?.history ?? []).flatMap((p) => (p.type === "items" ? (p.data as readonly I[]) : []));
  }

  /** Candles of an interval, oldest first, the current one last; `time` of the newest change. */
  async candles({ symbol }: Instrument, interval: string): Promise<{ candles: readonly Candle[]; time: number }> {
    const kept = await this.#kept(symbol, `kline_${interval}`);
    const byTime = new Map<number, Candle>();
    for (const p of kept?.history ?? [])
      if (p.type === "candles") for (const one of p.data) byTime.set(one.openTime, one);
    if (kept?.state?.type === "candles") for (const one of kept.state.data) byTime.set(one.openTime, one);
    return { candles: [...byTime.values()], time: kept?.time ?? 0 };
  }

  #kept(symbol: string, stream: string): Promise<Kept | null> {
    return this.#moments.kept(nameOf(this.name, symbol, stream));
  }
}
