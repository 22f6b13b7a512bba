/**
 * The fields of each kind's canonical JSON, as a declarative mapper may fill them: the table that the checks, the compiler
 * and the documentation share.
 */
import { INTERVALS } from "../../../channel/kinds.ts";
import type { DeclarativeKind } from "./spec.ts";

/**
 * `decimal`: a text of digits, or a number taken digit by digit. `whole`: an integer. `time`: with a unit. `id`: text or
 * number. `levels`: a list.
 */
export type FieldType = "decimal" | "whole" | "time" | "text" | "id" | "boolean" | "levels" | "part";

export interface Field {
  readonly type: FieldType;
  readonly required: boolean;
  /** The only values that are taken. */
  readonly oneOf?: readonly string[];
}

const need = (type: FieldType, oneOf?: readonly string[]): Field =>
  oneOf === undefined ? { type, required: true } : { type, required: true, oneOf };
const may = (type: FieldType): Field => ({ type, required: false });

const NAMED = { symbol: may("text"), market: may("text") };
const DAY = { open: need("decimal"), high: need("decimal"), low: need("decimal"), close: need("decimal") };

export const FIELDS: Readonly<Record<DeclarativeKind, Readonly<Record<string, Field>>>> = {
  trade: {
    ...NAMED,
    time: need("time"),
    id: may("id"),
    price: need("decimal"),
    quantity: need("decimal"),
    side: need("text", ["buy", "sell"]),
  },
  depth: {
    ...NAMED,
    time: may("time"),
    type: need("text", ["snapshot", "delta"]),
    bids: may("levels"),
    asks: may("levels"),
    prev: may("whole"),
    seq: may("whole"),
  },
  kline: {
    ...NAMED,
    ...DAY,
    time: may("time"),
    interval: need("text", INTERVALS),
    openTime: need("time"),
    closeTime: may("time"),
    volume: need("decimal"),
    quoteVolume: may("decimal"),
    takerVolume: may("decimal"),
    takerQuoteVolume: may("decimal"),
    firstId: may("whole"),
    lastId: may("whole"),
    count: may("whole"),
    closed: need("boolean"),
  },
  ticker: {
    ...NAMED,
    ...DAY,
    time: need("time"),
    volume: need("decimal"),
    quoteVolume: may("decimal"),
    lastQuantity: may("decimal"),
    lastId: may("whole"),
  },
  bookTicker: {
    ...NAMED,
    time: may("time"),
    bid: need("decimal"),
    bidQuantity: need("decimal"),
    ask: need("decimal"),
    askQuantity: need("decimal"),
  },
  markPrice: {
    ...NAMED,
    time: may("time"),
    mark: need("decimal"),
    index: need("decimal"),
    markAverage: may("decimal"),
    settle: may("decimal"),
    fundingRate: may("decimal"),
    nextFundingTime: may("time"),
  },
  private: { ...NAMED, time: may("time"), user: need("id"), payload: may("part") },
  json: { ...NAMED, time: may("time"), payload: may("part") },
};
