/**
 * What stands behind `"data":` in a native push, by kind: the fields of channel/types.ts in their order.
 *
 * On the path: encode.ts -> DATA.
 * Invariants: decimals hold no character to escape (the mapper's promise); a trade's id comes from outside and is
 * escaped; raw JSON leaves without a line feed.
 */
import type {
  AggTrade,
  AvgPrice,
  BookTicker,
  Candle,
  Content,
  Depth,
  Item,
  JsonText,
  Kind,
  Liquidation,
  MarkPrice,
  MiniTicker,
  Ticker,
  Trade,
  Value,
  WindowTicker,
} from "../../channel/types.ts";
import { levelsText } from "../levels.ts";

const TEXTS: { readonly [K in Kind]: (content: Content[K]) => string } = {
  trade: tradeText,
  aggTrade: aggTradeText,
  depth: depthText,
  partialDepth: depthText,
  bookTicker: bookTickerText,
  ticker: tickerText,
  miniTicker: miniTickerText,
  windowTicker: windowTickerText,
  avgPrice: avgPriceText,
  markPrice: markPriceText,
  kline: candleText,
  liquidation: liquidationText,
  index: rawText,
  funding: rawText,
  instrument: rawText,
  json: rawText,
  private: rawText,
};

/** How one value or item of a channel of this kind is written. */
export function contentText(kind: Kind): (content: Value | Item) => string {
  // Publications of a channel carry the content of its kind and no other.
  return TEXTS[kind] as (content: Value | Item) => string;
}

export function depthText(depth: Depth): string {
  return `{"bids":${levelsText(depth.bids)},"asks":${levelsText(depth.asks)}}`;
}

export function candleText(candle: Candle): string {
  return (
    `{"interval":"${candle.interval}","openTime":${candle.openTime},"closeTime":${candle.closeTime},` +
    `"open":"${candle.open}","high":"${candle.high}","low":"${candle.low}","close":"${candle.close}",` +
    `"volume":"${candle.volume}","quoteVolume":"${candle.quoteVolume}",` +
    `"takerVolume":"${candle.takerVolume}","takerQuoteVolume":"${candle.takerQuoteVolume}",` +
    `"firstId":${candle.firstId},"lastId":${candle.lastId},"count":${candle.count},` +
    `"closed":${candle.closed},"partial":${candle.partial}}`
  );
}

function tradeText(trade: Trade): string {
  return (
    `{"id":${idText(trade.id)},"price":"${trade.price}","quantity":"${trade.quantity}",` +
    `"side":"${trade.side}","time":${trade.time}}`
  );
}

/** Most ids are digits, and asking is cheaper than escaping. */
const idText = (id: string): string => (PLAIN_ID.test(id) ? `"${id}"` : JSON.stringify(id));
const PLAIN_ID = /^[\w-]*$/;

function aggTradeText(trade: AggTrade): string {
  return (
    `{"a":${trade.a},"price":"${trade.price}","quantity":"${trade.quantity}",` +
    `"firstId":${trade.firstId},"lastId":${trade.lastId},"side":"${trade.side}","time":${trade.time}}`
  );
}

function bookTickerText(value: BookTicker): string {
  return (
    `{"bid":"${value.bid}","bidQuantity":"${value.bidQuantity}",` +
    `"ask":"${value.ask}","askQuantity":"${value.askQuantity}"}`
  );
}

function miniTickerText(value: MiniTicker): string {
  return `{${miniTickerFields(value)}}`;
}

function tickerText(value: Ticker): string {
  return (
    `{${miniTickerFields(value)},"change":"${value.change}","changePercent":"${value.changePercent}",` +
    `"weightedAverage":"${value.weightedAverage}","previousClose":"${value.previousClose}",` +
    `"lastQuantity":"${value.lastQuantity}",` +
    `"firstId":${value.firstId},"lastId":${value.lastId},"count":${value.count}}`
  );
}

function windowTickerText(value: WindowTicker): string {
  return (
    `{${miniTickerFields(value)},"change":"${value.change}","changePercent":"${value.changePercent}",` +
    `"weightedAverage":"${value.weightedAverage}",` +
    `"firstId":${value.firstId},"lastId":${value.lastId},"count":${value.count}}`
  );
}

function avgPriceText(value: AvgPrice): string {
  return `{"interval":"${value.interval}","price":"${value.price}","tradeTime":${value.tradeTime}}`;
}

function miniTickerFields(value: MiniTicker): string {
  return (
    `"open":"${value.open}","high":"${value.high}","low":"${value.low}","close":"${value.close}",` +
    `"volume":"${value.volume}","quoteVolume":"${value.quoteVolume}",` +
    `"openTime":${value.openTime},"closeTime":${value.closeTime},"partial":${value.partial}`
  );
}

function markPriceText(value: MarkPrice): string {
  return (
    `{"mark":"${value.mark}","markAverage":"${value.markAverage}","index":"${value.index}",` +
    `"settle":"${value.settle}","fundingRate":"${value.fundingRate}","nextFundingTime":${value.nextFundingTime}}`
  );
}

function liquidationText(value: Liquidation): string {
  return (
    `{"side":"${value.side}","price":"${value.price}","averagePrice":"${value.averagePrice}",` +
    `"quantity":"${value.quantity}","filled":"${value.filled}","time":${value.time}}`
  );
}

/** A line feed is white space between JSON tokens, but in the ring it would end the frame. */
function rawText(value: JsonText): string {
  return value.json.includes("\n") ? value.json.replaceAll("\n", " ") : value.json;
}
