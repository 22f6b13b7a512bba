/**
 * Binance payloads: publications of one channel in the shapes of spot or USD-M.
 *
 * On the path: engine rung -> ENCODE -> ring -> worker (which wraps it for combined connections).
 * Invariants: `u = seq`, `U = prev + 1`, `pu = prev`; the first of an epoch has `U = u`, `pu = u - 1`; a trade or candle is
 * a frame of its own; Binance has no word for a snapshot, a gap or stale, so those make no frame, but the repair after a
 * resync is a delta in the chain.
 */
import type { Channel } from "../../channel/channel.ts";
import type {
  AggTrade,
  BookTicker,
  Candle,
  Depth,
  Item,
  Kind,
  Liquidation,
  MarkPrice,
  MiniTicker,
  Ticker,
  Trade,
  Value,
} from "../../channel/types.ts";
import type { ChannelEncoder, EncoderFactory, Stamp } from "../encoder.ts";
import { type Payloads, spotPayloads, usdmPayloads } from "./payloads.ts";

const NOTHING: readonly string[] = [];

export const binanceEncoder: EncoderFactory = (channel, form) => {
  const symbol = channel.symbol.toUpperCase();
  const payloads = channel.market === "spot" ? spotPayloads(symbol, form.timeUnit) : usdmPayloads(symbol);
  return new BinanceEncoder(channel, payloads);
};

class BinanceEncoder implements ChannelEncoder {
  private readonly kind: Kind;
  private readonly payloads: Payloads;

  constructor(channel: Channel, payloads: Payloads) {
    this.kind = channel.kind;
    this.payloads = payloads;
  }

  delta(at: Stamp, depth: Depth): readonly string[] {
    return [this.payloads.depth(at, depth)];
  }

  snapshot(at: Stamp, _book: Depth, repair: Depth | null): readonly string[] {
    return repair === null ? NOTHING : [this.payloads.depth(at, repair)];
  }

  /** A channel's publications carry the content of its kind: that is what the casts rely on. */
  value(at: Stamp, value: Value, top: BookTicker | null): readonly string[] {
    switch (this.kind) {
      case "bookTicker":
        return [this.payloads.bookTicker(at, value as BookTicker)];
      case "partialDepth":
        return [this.payloads.partialDepth(at, value as Depth)];
      case "ticker":
        return [this.payloads.ticker(at, value as Ticker, top)];
      case "miniTicker":
        return [this.payloads.miniTicker(at, value as MiniTicker)];
      case "markPrice":
        return [this.payloads.markPrice(at, value as MarkPrice)];
      default:
        return NOTHING;
    }
  }

  items(at: Stamp, items: readonly Item[]): readonly string[] {
    const { payloads } = this;
    switch (this.kind) {
      case "trade":
        return items.map((item) => payloads.trade(at, item as Trade));
      case "aggTrade":
        return items.map((item) => payloads.aggTrade(at, item as AggTrade));
      case "liquidation":
        return items.map((item) => payloads.liquidation(at, item as Liquidation));
      default:
        return NOTHING;
    }
  }

  candles(at: Stamp, candles: readonly Candle[]): readonly string[] {
    return candles.map((candle) => this.payloads.kline(at, candle));
  }

  gap(): readonly string[] {
    return NOTHING;
  }

  stale(): readonly string[] {
    return NOTHING;
  }
}
