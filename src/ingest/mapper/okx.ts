/**
 * Mapper `okx`: messages of OKX's public WebSocket v5 (wss://ws.okx.com:8443/ws/v5/public) as JSON text.
 *
 * On the path: source -> MAPPER -> derive.
 *
 *     {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot"|"update","data":[{"asks":[[price,quantity,"0",orders],..],
 *      "bids":[..],"ts":"1652459225464","checksum":-914047754,"seqId":1027,"prevSeqId":1020}]}
 *     {"arg":{"channel":"trades",..},"data":[{"instId":..,"tradeId":"7849","px":"30218.8","sz":"1","side":"buy","ts":".."}]}
 *     {"arg":{"channel":"tickers",..},"data":[{"last":..,"lastSz":..,"open24h":..,"high24h":..,"low24h":..,"vol24h":..,"volCcy24h":..,"ts":".."}]}
 *
 * An update continues the one whose `seqId` is its `prevSeqId` (a `seqId` may fall, the chain holds); recordings from
 * before that have a checksum and times that never fall. A level's quantity is of contracts for derivatives, as OKX
 * counts. Levels that leave the 400 are removed by OKX itself. `books5` and `bbo-tbt` are values of their own; other
 * channels and events give no update.
 */
import type { BookTicker, Trade } from "../../channel/types.ts";
import { blame, blameEach, blaming, type Form } from "./blame.ts";
import { type Fields, idOf, isFields, type PrefixOf, parsed, prefixes, wholeOf } from "./fields.ts";
import { isAmount, readDepth } from "./levels.ts";
import type { Learn, Malformed, MappedUpdate, Mapper, Sequence } from "./mapper.ts";
import { okxChecksum } from "./okx-checksum.ts";
import { tickerUpdates } from "./ticker.ts";

type Mapped = readonly MappedUpdate[] | Malformed;
type Read = (prefix: string, data: readonly Fields[], message: Fields) => Mapped;

const NONE: readonly MappedUpdate[] = [];
const BAD_BOOK: Malformed = { malformed: "bad book", suspect: true };
const badTrade = (prefix: string): Malformed => ({ malformed: "bad trade", misses: `${prefix}@trade` });
const BAD_TICKER: Malformed = { malformed: "bad ticker" };

const CHANNELS: ReadonlyMap<unknown, Read> = new Map<unknown, Read>([
  ["books", bookOf],
  ["books-l2-tbt", bookOf],
  ["books50-l2-tbt", bookOf],
  ["books5", topOf],
  ["bbo-tbt", bestOf],
  ["trades", tradesOf],
  ["trades-all", tradesOf],
  ["tickers", tickerOf],
]);

export function createOkx(learn: Learn): Mapper {
  const prefixOf = prefixes(learn, "spot");
  return { name: "okx", version: 1, map: (value) => map(value, prefixOf), checksumOf: okxChecksum };
}

function map(value: unknown, prefixOf: PrefixOf): Mapped {
  if (value === "pong") return NONE;
  const read = parsed(value);
  if ("malformed" in read) return read;
  if (!isFields(read.json)) return { malformed: "no object", suspect: true };
  const { event, arg, data } = read.json;
  if (typeof event === "string") return NONE;
  if (!isFields(arg) || typeof arg.instId !== "string") return { malformed: "no instrument", suspect: true };
  const reader = CHANNELS.get(arg.channel);
  if (reader === undefined) return NONE;
  if (!Array.isArray(data) || data.length === 0 || !data.every(isFields)) return blaming(BAD_BOOK, read.json, faultOf);
  const prefix = prefixOf(arg.instId);
  return prefix === null
    ? { malformed: "instrument refused" }
    : blaming(reader(prefix, data, read.json), read.json, faultOf);
}

const BOOK: Form = { bids: "levels", asks: "levels", ts: "whole", checksum: "whole??" };
const FORMS: readonly (readonly [RegExp, Form])[] = [
  [/^trades/, { tradeId: "id", px: "amount", sz: "amount", ts: "whole", side: ["buy", "sell"] }],
  [
    /^tickers/,
    {
      ...{ open24h: "decimal", high24h: "decimal", low24h: "decimal", last: "decimal", vol24h: "decimal" },
      ...{ volCcy24h: "decimal??", lastSz: "decimal", ts: "whole" },
    },
  ],
  [/^books/, { ...BOOK, seqId: "whole?" }],
  [/./, BOOK],
];

function faultOf({ arg, action, data }: Fields): string | null {
  const channel = String(isFields(arg) ? arg.channel : "");
  const wanted = { action: ["snapshot", "update"] } as const;
  const wrong = /^books(-|50|$)/.test(channel) ? blame(channel, { action }, wanted) : null;
  return wrong ?? blameEach(`${channel}.data`, data, FORMS.find(([names]) => names.test(channel))?.[1] ?? {});
}

function bookOf(prefix: string, [fields = {}]: readonly Fields[], { action }: Fields): Mapped {
  if (action !== "snapshot" && action !== "update") return BAD_BOOK;
  const type = action === "snapshot" ? "snapshot" : "delta";
  const depth = readDepth(type, fields.bids, fields.asks);
  const [time, checksum] = [wholeOf(fields.ts), wholeOf(fields.checksum ?? 0)];
  const sequence = numbersOf(fields, time);
  if (depth === null || sequence === null || Number.isNaN(time + checksum)) return BAD_BOOK;
  const update = { channel: `${prefix}@depth`, kind: "depth", user: "", time, type, data: depth, sequence } as const;
  return [checksum === 0 ? update : { ...update, checksum }];
}

function numbersOf({ seqId, prevSeqId }: Fields, time: number): Sequence | null {
  if (seqId === undefined) return { prev: null, last: time };
  const [prev, last] = [wholeOf(prevSeqId), wholeOf(seqId)];
  return Number.isNaN(prev + last) ? null : { prev, last };
}

function topOf(prefix: string, [fields = {}]: readonly Fields[]): Mapped {
  const data = readDepth("snapshot", fields.bids, fields.asks);
  const time = wholeOf(fields.ts);
  if (data === null || Number.isNaN(time)) return BAD_BOOK;
  return [{ channel: `${prefix}@depth5`, kind: "partialDepth", user: "", time, type: "value", data }];
}

function bestOf(prefix: string, [fields = {}]: readonly Fields[]): Mapped {
  const depth = readDepth("snapshot", fields.bids, fields.asks);
  const time = wholeOf(fields.ts);
  if (depth === null || Number.isNaN(time)) return BAD_BOOK;
  const [bid, bidQuantity] = depth.bids[0] ?? ["0", "0"];
  const [ask, askQuantity] = depth.asks[0] ?? ["0", "0"];
  const data: BookTicker = { bid, bidQuantity, ask, askQuantity };
  return [{ channel: `${prefix}@bookTicker`, kind: "bookTicker", user: "", time, type: "value", data }];
}

function tradesOf(prefix: string, data: readonly Fields[]): Mapped {
  const trades: Trade[] = [];
  let time = 0;
  for (const { tradeId, px, sz, side, ts } of data) {
    const [id, at] = [idOf(tradeId), wholeOf(ts)];
    if (id === null || !isAmount(px) || !isAmount(sz) || Number.isNaN(at)) return badTrade(prefix);
    if (side !== "buy" && side !== "sell") return badTrade(prefix);
    trades.push({ ...id, price: px, quantity: sz, side, time: at });
    time = Math.max(time, at);
  }
  const update = { channel: `${prefix}@trade`, kind: "trade", user: "", time, type: "items", data: trades } as const;
  const last = Math.max(...trades.map(({ t }) => t));
  // One message may stand for several trades of one order, so ids rise without being dense.
  return [trades.some(({ t }) => t < 0) ? update : { ...update, sequence: { prev: null, last } }];
}

function tickerOf(prefix: string, [fields = {}]: readonly Fields[]): Mapped {
  const updates = tickerUpdates(prefix, {
    open: fields.open24h,
    high: fields.high24h,
    low: fields.low24h,
    close: fields.last,
    volume: fields.vol24h,
    quoteVolume: fields.volCcy24h,
    lastQuantity: fields.lastSz,
    lastId: -1,
    time: wholeOf(fields.ts),
  });
  return updates ?? BAD_TICKER;
}
