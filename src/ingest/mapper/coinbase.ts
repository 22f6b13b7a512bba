/**
 * Mapper `coinbase`: messages of Coinbase Exchange's WebSocket feed (wss://ws-feed.exchange.coinbase.com) as JSON text.
 *
 * On the path: source -> MAPPER -> derive.
 *
 *     {"type":"snapshot","product_id":"BTC-USD","asks":[["14.8024","12.77"],..],"bids":[..]}
 *     {"type":"l2update","product_id":"BTC-USD","changes":[["sell","0.00001306","660.5"]],"time":"2021-04-17T16:43:37.075687Z"}
 *     {"type":"match","trade_id":280232,"side":"sell","size":"985","price":"0.00001305","product_id":"BTC-USD","time":".."}
 *     {"type":"ticker","product_id":"BTC-USD","price":..,"open_24h":..,"high_24h":..,"low_24h":..,"volume_24h":..,"last_size":..}
 *
 * `side` of a match is the maker's; ours is the taker's. The feed has neither checksum nor book numbers: an l2update's time
 * never falls, and a snapshot comes once, first; anything else means that the order is broken (`strict`). Where an
 * l2update carries a `sequence`, that is verified instead. Trade ids are dense per product: a jump is a gap.
 * `last_match` is the last trade from before the subscription; heartbeat, subscriptions, status and errors give no update.
 */
import type { Level } from "../../channel/types.ts";
import { blame, blameEach, blaming, type Form } from "./blame.ts";
import { type Fields, idOf, isFields, isoUs, type PrefixOf, parsed, prefixes, wholeOf } from "./fields.ts";
import { isAmount, lastOfEachPrice, readDepth } from "./levels.ts";
import type { Learn, Malformed, MappedUpdate, Mapper, Sequence } from "./mapper.ts";
import { tickerUpdates } from "./ticker.ts";

type Mapped = readonly MappedUpdate[] | Malformed;

const NONE: readonly MappedUpdate[] = [];
const BAD_BOOK: Malformed = { malformed: "bad book", suspect: true };
const BAD_TRADE: Malformed = { malformed: "bad trade" };
const BAD_TICKER: Malformed = { malformed: "bad ticker" };
const REFUSED: Malformed = { malformed: "instrument refused" };

export function createCoinbase(learn: Learn): Mapper {
  const prefixOf = prefixes(learn, "spot");
  return {
    name: "coinbase",
    version: 1,
    map(value) {
      const read = parsed(value);
      if ("malformed" in read) return read;
      if (!isFields(read.json)) return { malformed: "no object", suspect: true };
      switch (read.json.type) {
        case "l2update":
          return blaming(changeOf(read.json, prefixOf), read.json, faultOf);
        case "snapshot":
          return blaming(snapshotOf(read.json, prefixOf), read.json, faultOf);
        case "match":
        case "last_match":
          return blaming(tradeOf(read.json, prefixOf), read.json, faultOf);
        case "ticker":
          return blaming(tickerOf(read.json, prefixOf), read.json, faultOf);
        default:
          return typeof read.json.type === "string" ? NONE : { malformed: "no type", suspect: true };
      }
    },
  };
}

const TRADE: Form = {
  ...{ product_id: "text", trade_id: "id", price: "amount", size: "amount" },
  ...{ side: ["buy", "sell"], time: "iso" },
};
const FORMS: Readonly<Record<string, Form>> = {
  l2update: { product_id: "text", time: "iso" },
  snapshot: { product_id: "text", bids: "levels", asks: "levels", time: "iso?" },
  match: TRADE,
  last_match: TRADE,
  ticker: {
    ...{ product_id: "text", time: "iso", open_24h: "decimal", high_24h: "decimal", low_24h: "decimal" },
    ...{ price: "decimal", volume_24h: "decimal", last_size: "decimal" },
  },
};
/** Of `[side, price, quantity]`. */
const CHANGE: Form = { side: ["buy", "sell"], price: "amount", quantity: "amount" };

function faultOf(fields: Fields): string | null {
  const type = String(fields.type);
  const fault = blame(type, fields, FORMS[type] ?? {});
  return fault ?? (type === "l2update" ? blameEach(`${type}.changes`, fields.changes, CHANGE) : null);
}

function changeOf({ product_id, changes, time, sequence }: Fields, prefixOf: PrefixOf): Mapped {
  const timeUs = isoUs(time);
  if (typeof product_id !== "string" || !Array.isArray(changes) || Number.isNaN(timeUs)) return BAD_BOOK;
  const bids: Level[] = [];
  const asks: Level[] = [];
  for (const change of changes as readonly unknown[]) {
    if (!Array.isArray(change)) return BAD_BOOK;
    const [side, price, quantity] = change as readonly unknown[];
    if (!isAmount(price) || !isAmount(quantity) || (side !== "buy" && side !== "sell")) return BAD_BOOK;
    (side === "buy" ? bids : asks).push([price, quantity]);
  }
  const prefix = prefixOf(product_id);
  if (prefix === null) return REFUSED;
  const data = { bids: lastOfEachPrice(bids), asks: lastOfEachPrice(asks) };
  const numbers = numbersOf(sequence, timeUs);
  return [{ ...bookOf(prefix), time: Math.floor(timeUs / 1000), type: "delta", data, sequence: numbers }];
}

function snapshotOf({ product_id, bids, asks, time, sequence }: Fields, prefixOf: PrefixOf): Mapped {
  const data = readDepth("snapshot", bids, asks);
  const timeUs = time === undefined ? 0 : isoUs(time);
  if (typeof product_id !== "string" || data === null || Number.isNaN(timeUs)) return BAD_BOOK;
  const prefix = prefixOf(product_id);
  if (prefix === null) return REFUSED;
  const update = { ...bookOf(prefix), time: Math.floor(timeUs / 1000), type: "snapshot", data } as const;
  return [sequence === undefined ? update : { ...update, sequence: numbersOf(sequence, timeUs) }];
}

const bookOf = (prefix: string) => ({ channel: `${prefix}@depth`, kind: "depth", user: "", strict: true }) as const;

/** Sequence numbers where there are any, else times that may not fall. */
function numbersOf(sequence: unknown, timeUs: number): Sequence {
  const number = wholeOf(sequence);
  return Number.isNaN(number) ? { prev: null, last: timeUs } : { prev: number - 1, last: number };
}

function tradeOf({ type, product_id, trade_id, price, size, side, time }: Fields, prefixOf: PrefixOf): Mapped {
  const [id, timeUs] = [idOf(trade_id), isoUs(time)];
  if (typeof product_id !== "string" || id === null || !isAmount(price) || !isAmount(size)) return BAD_TRADE;
  if ((side !== "buy" && side !== "sell") || Number.isNaN(timeUs)) return BAD_TRADE;
  const prefix = prefixOf(product_id);
  if (prefix === null) return REFUSED;
  const at = Math.floor(timeUs / 1000);
  const trade = { ...id, price, quantity: size, side: side === "buy" ? "sell" : "buy", time: at } as const;
  const update = {
    channel: `${prefix}@trade`,
    kind: "trade",
    user: "",
    time: at,
    type: "items",
    data: [trade],
  } as const;
  const prev = type === "match" ? id.t - 1 : null;
  return [id.t < 0 ? update : { ...update, sequence: { prev, last: id.t } }];
}

function tickerOf(fields: Fields, prefixOf: PrefixOf): Mapped {
  const timeUs = isoUs(fields.time);
  const { product_id } = fields;
  // A product without trades has a ticker without a time.
  if (fields.time === undefined) return NONE;
  if (typeof product_id !== "string") return BAD_TICKER;
  const prefix = prefixOf(product_id);
  if (prefix === null) return REFUSED;
  const updates = tickerUpdates(prefix, {
    open: fields.open_24h,
    high: fields.high_24h,
    low: fields.low_24h,
    close: fields.price,
    volume: fields.volume_24h,
    quoteVolume: null,
    lastQuantity: fields.last_size,
    lastId: idOf(fields.trade_id)?.t ?? -1,
    time: Math.floor(timeUs / 1000),
  });
  return updates ?? BAD_TICKER;
}
