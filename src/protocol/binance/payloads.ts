/**
 * Binance's event objects, key by key in the order of the wire.
 *
 * On the path: encode.ts -> PAYLOADS.
 * Invariants: prices and quantities are the source's strings; `E` is the instant of encoding; a stream's spot and USD-M
 * shapes differ only where they stand apart below.
 */
import type { Instrument } from "../../channel/instruments.ts";
import type {
  AggTrade,
  AvgPrice,
  BookTicker,
  Candle,
  Depth,
  Liquidation,
  MarkPrice,
  MiniTicker,
  Ticker,
  Trade,
  WindowTicker,
} from "../../channel/types.ts";
import type { Form } from "../../ring/messages.ts";
import type { Stamp } from "../encoder.ts";
import { levelsText } from "../levels.ts";
import { contractStatus, NEVER, UNKNOWN } from "./contract.ts";

export interface Payloads {
  depth(at: Stamp, depth: Depth): string;
  partialDepth(at: Stamp, depth: Depth): string;
  bookTicker(at: Stamp, value: BookTicker): string;
  ticker(at: Stamp, value: Ticker, top: BookTicker | null): string;
  miniTicker(at: Stamp, value: MiniTicker): string;
  /** `window`: 1h, 4h, 1d. */
  windowTicker(at: Stamp, value: WindowTicker, window: string): string;
  avgPrice(at: Stamp, value: AvgPrice): string;
  markPrice(at: Stamp, value: MarkPrice): string;
  trade(at: Stamp, trade: Trade): string;
  aggTrade(at: Stamp, trade: AggTrade): string;
  kline(at: Stamp, candle: Candle): string;
  /** Of the perpetual contract of a pair. */
  continuousKline(at: Stamp, candle: Candle): string;
  liquidation(at: Stamp, value: Liquidation): string;
  contractInfo(at: Stamp, instrument: Instrument): string;
}

/** What Binance writes where there is no price or quantity. */
const NONE = "0.00000000";
const EMPTY_SIDE = "0";

export function spotPayloads(symbol: string, timeUnit: Form["timeUnit"]): Payloads {
  const s = JSON.stringify(symbol);
  const factor = timeUnit === "us" ? 1000 : 1;
  const now = timeUnit === "us" ? (at: Stamp) => at.sentUs : sentMs;
  return {
    ...commonPayloads(s, now, factor),
    depth: (at, { bids, asks }) =>
      `{"e":"depthUpdate","E":${now(at)},"s":${s},"U":${firstId(at)},"u":${at.seq},` +
      // python-binance removes a level for this spelling of zero only.
      `"b":${levelsText(bids, NONE)},"a":${levelsText(asks, NONE)}}`,
    partialDepth: (at, { bids, asks }) =>
      `{"lastUpdateId":${at.seq},"bids":${levelsText(bids)},"asks":${levelsText(asks)}}`,
    bookTicker: (at, value) => `{"u":${at.seq},"s":${s},${topText(value)}}`,
    ticker: (at, value, top) =>
      `{"e":"24hrTicker","E":${now(at)},"s":${s},"p":"${value.change}","P":"${value.changePercent}",` +
      `"w":"${value.weightedAverage}","x":"${value.previousClose}","c":"${value.close}","Q":"${value.lastQuantity}",` +
      `${topText(top)},${windowText(value, factor)}}`,
    trade: (at, trade) =>
      `{"e":"trade","E":${now(at)},"s":${s},"t":${trade.t},"p":"${trade.price}","q":"${trade.quantity}",` +
      `"T":${trade.time * factor},"m":${trade.side === "sell"},"M":true}`,
    aggTrade: (at, trade) =>
      `{"e":"aggTrade","E":${now(at)},"s":${s},"a":${trade.a},"p":"${trade.price}","q":"${trade.quantity}",` +
      `"f":${trade.firstId},"l":${trade.lastId},"T":${trade.time * factor},"m":${trade.side === "sell"},"M":true}`,
  };
}

export function usdmPayloads(symbol: string): Payloads {
  const s = JSON.stringify(symbol);
  const depth = (at: Stamp, { bids, asks }: Depth): string =>
    `{"e":"depthUpdate","E":${sentMs(at)},"T":${at.time},"s":${s},"U":${firstId(at)},"u":${at.seq},` +
    `"pu":${at.prev ?? at.seq - 1},"b":${levelsText(bids)},"a":${levelsText(asks)}}`;
  return {
    ...commonPayloads(s, sentMs, 1),
    depth,
    partialDepth: depth,
    bookTicker: (at, value) =>
      `{"e":"bookTicker","u":${at.seq},"E":${sentMs(at)},"T":${at.time},"s":${s},${topText(value)}}`,
    ticker: (at, value) =>
      `{"e":"24hrTicker","E":${sentMs(at)},"s":${s},"p":"${value.change}","P":"${value.changePercent}",` +
      `"w":"${value.weightedAverage}","c":"${value.close}","Q":"${value.lastQuantity}",${windowText(value, 1)}}`,
    trade: (at, trade) =>
      `{"e":"trade","E":${sentMs(at)},"T":${trade.time},"s":${s},"t":${trade.t},"p":"${trade.price}",` +
      `"q":"${trade.quantity}","X":"MARKET","m":${trade.side === "sell"}}`,
    aggTrade: (at, trade) =>
      `{"e":"aggTrade","E":${sentMs(at)},"s":${s},"a":${trade.a},"p":"${trade.price}","q":"${trade.quantity}",` +
      `"nq":"${trade.quantity}","f":${trade.firstId},"l":${trade.lastId},"T":${trade.time},"m":${trade.side === "sell"}}`,
  };
}

function commonPayloads(
  s: string,
  now: (at: Stamp) => number,
  factor: number,
): Omit<Payloads, "depth" | "partialDepth" | "bookTicker" | "ticker" | "trade" | "aggTrade"> {
  return {
    kline: (at, candle) =>
      `{"e":"kline","E":${now(at)},"s":${s},"k":{"t":${candle.openTime * factor},"T":${candle.closeTime * factor},` +
      `"s":${s},${candleText(candle)}}}`,
    continuousKline: (at, candle) =>
      `{"e":"continuous_kline","E":${now(at)},"ps":${s},"ct":"PERPETUAL","k":{"t":${candle.openTime * factor},` +
      `"T":${candle.closeTime * factor},${candleText(candle)}}}`,
    miniTicker: (at, value) =>
      `{"e":"24hrMiniTicker","E":${now(at)},"s":${s},"c":"${value.close}","o":"${value.open}","h":"${value.high}",` +
      `"l":"${value.low}","v":"${value.volume}","q":"${value.quoteVolume}"}`,
    windowTicker: (at, value, window) =>
      `{"e":"${window}Ticker","E":${now(at)},"s":${s},"p":"${value.change}","P":"${value.changePercent}",` +
      `"o":"${value.open}","h":"${value.high}","l":"${value.low}","c":"${value.close}","w":"${value.weightedAverage}",` +
      `"v":"${value.volume}","q":"${value.quoteVolume}","O":${value.openTime * factor},"C":${value.closeTime * factor},` +
      `"F":${value.firstId},"L":${value.lastId},"n":${value.count}}`,
    avgPrice: (at, value) =>
      `{"e":"avgPrice","E":${now(at)},"s":${s},"i":"${value.interval}","w":"${value.price}",` +
      `"T":${value.tradeTime * factor}}`,
    markPrice: (at, value) =>
      `{"e":"markPriceUpdate","E":${now(at)},"s":${s},"p":"${value.mark}","ap":"${value.markAverage}",` +
      `"i":"${value.index}","P":"${value.settle}","r":"${value.fundingRate}","T":${value.nextFundingTime * factor}}`,
    liquidation: (at, value) =>
      `{"e":"forceOrder","E":${now(at)},"o":{"s":${s},"S":"${value.side === "sell" ? "SELL" : "BUY"}","o":"LIMIT",` +
      `"f":"IOC","q":"${value.quantity}","p":"${value.price}","ap":"${value.averagePrice}",` +
      `"X":"${Number(value.filled) === Number(value.quantity) ? "FILLED" : "PARTIALLY_FILLED"}",` +
      `"l":"${value.filled}","z":"${value.filled}","T":${value.time * factor}}}`,
    contractInfo: (at, instrument) =>
      `{"e":"contractInfo","E":${now(at)},"s":${s},"ps":${s},"ct":"PERPETUAL","dt":${NEVER},"ot":${UNKNOWN},` +
      `"cs":"${contractStatus(instrument.status)}"}`,
  };
}

/** From `i` to `B`. */
function candleText(candle: Candle): string {
  return (
    `"i":"${candle.interval}","f":${candle.firstId},"L":${candle.lastId},` +
    `"o":"${candle.open}","c":"${candle.close}","h":"${candle.high}","l":"${candle.low}",` +
    `"v":"${candle.volume}","n":${candle.count},"x":${candle.closed},"q":"${candle.quoteVolume}",` +
    `"V":"${candle.takerVolume}","Q":"${candle.takerQuoteVolume}","B":"0"`
  );
}

/** `o h l v q O C F L n` of a ticker. */
function windowText(value: Ticker, factor: number): string {
  return (
    `"o":"${value.open}","h":"${value.high}","l":"${value.low}","v":"${value.volume}","q":"${value.quoteVolume}",` +
    `"O":${value.openTime * factor},"C":${value.closeTime * factor},` +
    `"F":${value.firstId},"L":${value.lastId},"n":${value.count}`
  );
}

/** `b B a A`; our "0" of an empty side, and no book at all, in Binance's spelling. */
function topText(top: BookTicker | null): string {
  if (top === null) return `"b":"${NONE}","B":"${NONE}","a":"${NONE}","A":"${NONE}"`;
  return (
    `"b":"${spelled(top.bid)}","B":"${spelled(top.bidQuantity)}",` +
    `"a":"${spelled(top.ask)}","A":"${spelled(top.askQuantity)}"`
  );
}

const spelled = (decimal: string): string => (decimal === EMPTY_SIDE ? NONE : decimal);

const sentMs = (at: Stamp): number => Math.floor(at.sentUs / 1000);

const firstId = (at: Stamp): number => (at.prev === null ? at.seq : at.prev + 1);
