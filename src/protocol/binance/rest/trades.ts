/** Trades over REST: the last ones, those from an id on, aggregate trades by id or time. */
import { times } from "../../../channel/decimal.ts";
import type { AggTrade, Trade } from "../../../channel/types.ts";
import type { Market } from "./market.ts";
import type { LimitRule, Query } from "./query.ts";
import { refuse } from "./replies.ts";

const HOUR_MS = 3_600_000;

const limitOf = (market: Market): LimitRule => ({ normal: 500, most: 1000, over: market.isSpot ? "clamp" : "refuse" });

/** `trades`, and `historicalTrades` with its `fromId`: as far back as the owner's history goes. */
export async function trades(market: Market, query: Query, historical: boolean): Promise<string> {
  const symbol = query.symbol();
  const limit = query.limit(limitOf(market));
  const fromId = historical ? query.number("fromId") : null;
  query.end();
  const all = await market.items<Trade>(market.find(symbol), "trade");
  const asked = fromId === null ? all.slice(-limit) : all.filter(({ t }) => t >= fromId).slice(0, limit);
  return `[${asked.map((trade) => tradeText(trade, market.isSpot)).join(",")}]`;
}

function tradeText({ t, price, quantity, side, time }: Trade, isSpot: boolean): string {
  return (
    `{"id":${t},"price":"${price}","qty":"${quantity}","quoteQty":"${times(price, quantity)}","time":${time},` +
    `"isBuyerMaker":${side === "sell"}${isSpot ? ',"isBestMatch":true' : ""}}`
  );
}

export async function aggTrades(market: Market, query: Query): Promise<string> {
  const symbol = query.symbol();
  const fromId = query.number("fromId");
  const start = query.number("startTime");
  const end = query.number("endTime");
  const limit = query.limit(limitOf(market));
  query.end();
  if (fromId !== null && (start !== null || end !== null)) throw refuse.combination();
  if (!market.isSpot && start !== null && end !== null) {
    if (start > end) throw refuse.startAfterEnd();
    if (end - start > HOUR_MS) throw refuse.moreThanHours(1);
  }
  const all = await market.items<AggTrade>(market.find(symbol), "aggTrade");
  const asked = all.filter(
    ({ a, time }) =>
      (fromId === null || a >= fromId) && (start === null || time >= start) && (end === null || time <= end),
  );
  const isFromStart = fromId !== null || start !== null;
  const page = isFromStart ? asked.slice(0, limit) : asked.slice(-limit);
  return `[${page.map((trade) => aggTradeText(trade, market.isSpot)).join(",")}]`;
}

function aggTradeText({ a, price, quantity, firstId, lastId, time, side }: AggTrade, isSpot: boolean): string {
  return (
    `{"a":${a},"p":"${price}","q":"${quantity}","f":${firstId},"l":${lastId},"T":${time},` +
    `"m":${side === "sell"}${isSpot ? ',"M":true' : ""}}`
  );
}
