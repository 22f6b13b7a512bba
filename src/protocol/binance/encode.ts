/**
 * Binance payloads: publications of one channel in the shapes of spot or USD-M.
 *
 * On the path: engine rung -> ENCODE -> ring -> worker (which wraps it for combined connections).
 * Invariants: `u = seq`, `U = prev + 1`, `pu = prev`; the first of an epoch has `U = u`, `pu = u - 1`; a trade or candle is
 * a frame of its own; Binance has no word for a snapshot, a gap or stale, so those make no frame, but the repair after a
 * resync is a delta in the chain. Of the liquidations in one flush only the largest is sent, as Binance does per second.
 */
import type { Channel } from "../../channel/channel.ts";
import { compare } from "../../channel/decimal.ts";
import type { Instrument } from "../../channel/instruments.ts";
import type {
  AggTrade,
  AvgPrice,
  BookTicker,
  Candle,
  Depth,
  Item,
  Liquidation,
  MarketMember,
  MarketMembers,
  MarkPrice,
  MiniTicker,
  Ticker,
  Trade,
  Value,
  WindowTicker,
} from "../../channel/types.ts";
import type { Form } from "../../ring/messages.ts";
import type { ChannelEncoder, EncoderFactory, Stamp } from "../encoder.ts";
import { type Payloads, spotPayloads, usdmPayloads } from "./payloads.ts";

const NOTHING: readonly string[] = [];

export const binanceEncoder: EncoderFactory = (channel, form) =>
  channel.all === undefined ? new BinanceEncoder(channel, form) : new AllMarketEncoder(channel, channel.all, form);

function payloadsOf(market: string, symbol: string, timeUnit: Form["timeUnit"]): Payloads {
  const upper = symbol.toUpperCase();
  return market === "spot" ? spotPayloads(upper, timeUnit) : usdmPayloads(upper);
}

class BinanceEncoder implements ChannelEncoder {
  private readonly channel: Channel;
  private readonly payloads: Payloads;
  private readonly candle: (at: Stamp, candle: Candle) => string;

  constructor(channel: Channel, form: Form) {
    this.channel = channel;
    this.payloads = payloadsOf(channel.market, channel.symbol, form.timeUnit);
    const { kline, continuousKline } = this.payloads;
    this.candle = channel.stream.startsWith("continuous") ? continuousKline : kline;
  }

  delta(at: Stamp, depth: Depth): readonly string[] {
    return [this.payloads.depth(at, depth)];
  }

  snapshot(at: Stamp, _book: Depth, repair: Depth | null): readonly string[] {
    return repair === null ? NOTHING : [this.payloads.depth(at, repair)];
  }

  value(at: Stamp, value: Value, top: BookTicker | null): readonly string[] {
    const { kind, stream } = this.channel;
    const text = valueText(this.payloads, kind, stream, at, value, top);
    return text === null ? NOTHING : [text];
  }

  items(at: Stamp, items: readonly Item[]): readonly string[] {
    const { payloads } = this;
    switch (this.channel.kind) {
      case "trade":
        return items.map((item) => payloads.trade(at, item as Trade));
      case "aggTrade":
        return items.map((item) => payloads.aggTrade(at, item as AggTrade));
      case "liquidation":
        return [payloads.liquidation(at, (items as readonly Liquidation[]).reduce(larger))];
      default:
        return NOTHING;
    }
  }

  candles(at: Stamp, candles: readonly Candle[]): readonly string[] {
    return candles.map((candle) => this.candle(at, candle));
  }

  gap(): readonly string[] {
    return NOTHING;
  }

  stale(): readonly string[] {
    return NOTHING;
  }
}

/** All instruments of a market: an array of those that changed, or where Binance has no array one event each. */
class AllMarketEncoder implements ChannelEncoder {
  private readonly channel: Channel;
  private readonly stream: string;
  private readonly form: Form;
  private readonly isArray: boolean;
  private readonly payloads = new Map<string, Payloads>();

  constructor(channel: Channel, stream: string, form: Form) {
    this.channel = channel;
    this.stream = stream;
    this.form = form;
    this.isArray = !["bookTicker", "liquidation", "instrument"].includes(channel.kind);
  }

  value(at: Stamp, value: Value): readonly string[] {
    const texts: string[] = [];
    for (const member of (value as MarketMembers).members) {
      const text = this.text(at, member);
      if (text !== null) texts.push(text);
    }
    if (!this.isArray) return texts;
    return texts.length === 0 ? NOTHING : [`[${texts.join(",")}]`];
  }

  private text(at: Stamp, { symbol, seq, time, data, top }: MarketMember): string | null {
    const { market, kind } = this.channel;
    let payloads = this.payloads.get(symbol);
    if (payloads === undefined) {
      payloads = payloadsOf(market, symbol, this.form.timeUnit);
      this.payloads.set(symbol, payloads);
    }
    // A member's ids are those of its own stream.
    const own: Stamp = { ...at, seq, time };
    if (kind === "liquidation") return payloads.liquidation(own, data as Liquidation);
    if (kind === "instrument") return payloads.contractInfo(own, data as Instrument);
    return valueText(payloads, kind, this.stream, own, data as Value, top());
  }

  delta = (): readonly string[] => NOTHING;
  snapshot = (): readonly string[] => NOTHING;
  items = (): readonly string[] => NOTHING;
  candles = (): readonly string[] => NOTHING;
  gap = (): readonly string[] => NOTHING;
  stale = (): readonly string[] => NOTHING;
}

/** Publications carry the content of their channel's kind: that is what the casts rely on. */
function valueText(
  payloads: Payloads,
  kind: Channel["kind"],
  stream: string,
  at: Stamp,
  value: Value,
  top: BookTicker | null,
): string | null {
  switch (kind) {
    case "bookTicker":
      return payloads.bookTicker(at, value as BookTicker);
    case "partialDepth":
      return payloads.partialDepth(at, value as Depth);
    case "ticker":
      return payloads.ticker(at, value as Ticker, top);
    case "miniTicker":
      return payloads.miniTicker(at, value as MiniTicker);
    case "windowTicker":
      return payloads.windowTicker(at, value as WindowTicker, stream.slice("ticker_".length));
    case "avgPrice":
      return payloads.avgPrice(at, value as AvgPrice);
    case "markPrice":
      return payloads.markPrice(at, value as MarkPrice);
    default:
      return null;
  }
}

const larger = (a: Liquidation, b: Liquidation): Liquidation => (compare(b.quantity, a.quantity) > 0 ? b : a);
