/**
 * Binance REST for spot (`/api/v3`) and USD-M (`/fapi/v1`): market data.
 *
 * On the path: edge (HTTP) -> postMessage -> REST (main thread) -> engine's books, owners' histories, instruments.
 * Invariants: every reply is JSON; an error has Binance's status, code and words; `handle` never rejects; depth is never
 * behind a stream, any other reply at most 50 ms old.
 * At the limit: more than `pendingMax` requests waiting at once are refused with 429, code -1003.
 */
import { wallMs } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import { levelsText } from "../levels.ts";
import { avgPrice, klines } from "./rest/candles.ts";
import { marginAssets, spotSymbol, usdmSymbol } from "./rest/exchange-info.ts";
import { type Book, Market } from "./rest/market.ts";
import { Moments } from "./rest/moment.ts";
import type { BinanceRestPorts } from "./rest/ports.ts";
import { Query } from "./rest/query.ts";
import { fail, ok, Refusal, type RestReply, refuse, TOO_MANY_REQUESTS, UNAVAILABLE } from "./rest/replies.ts";
import { bookTicker, premiumIndex, ticker, ticker24hr, tickerPrice, tradingDay } from "./rest/tickers.ts";
import { aggTrades, trades } from "./rest/trades.ts";

export interface BinanceRest {
  /** `path` without the query, `query` with or without its `?`. */
  handle(path: string, query: string): Promise<RestReply>;
}

/** Makes the body of a reply, or throws a Refusal. */
type Endpoint = (market: Market, query: Query) => Promise<string> | string;

const SPOT_DEPTH = { normal: 100, most: 5000, over: "clamp" } as const;
const USDM_DEPTH_LIMITS = [5, 10, 20, 50, 100, 500, 1000];
const USDM_DEPTH_DEFAULT = 500;

/** What both markets have, and may be answered from the moment's replies. */
const COMMON: Readonly<Record<string, Endpoint>> = {
  trades: (market, query) => trades(market, query, false),
  historicalTrades: (market, query) => trades(market, query, true),
  aggTrades,
  klines,
  "ticker/24hr": ticker24hr,
  "ticker/price": tickerPrice,
  "ticker/bookTicker": bookTicker,
};

const SPOT: Readonly<Record<string, Endpoint>> = {
  ...COMMON,
  uiKlines: klines,
  avgPrice,
  ticker,
  "ticker/tradingDay": tradingDay,
};

const USDM: Readonly<Record<string, Endpoint>> = {
  ...COMMON,
  continuousKlines: (market, query) => klines(market, query, true),
  premiumIndex,
};

export function createBinanceRest(ports: BinanceRestPorts): BinanceRest {
  const { clock, instruments } = ports;
  const pendingMax = ports.pendingMax ?? 1000;
  const moments = new Moments(ports);
  const spot = new Market("spot", ports, moments);
  const usdm = new Market("usdm", ports, moments);
  const depthTexts = new WeakMap<object, string>();
  let pending = 0;
  /** Every symbol of exchangeInfo, by market; made on demand, thrown away when an instrument changes. */
  const allSymbols = new Map<Market, string>();
  instruments.onChange(() => allSymbols.clear());

  const endpoints = new Map<string, { market: Market; make: Endpoint; isCached: boolean }>();
  const add = (prefix: string, market: Market, table: Readonly<Record<string, Endpoint>>, isCached: boolean): void => {
    for (const [name, make] of Object.entries(table)) endpoints.set(prefix + name, { market, make, isCached });
  };
  const live: Readonly<Record<string, Endpoint>> = { ping, time, exchangeInfo, depth };
  add("/api/v3/", spot, live, false);
  add("/api/v3/", spot, SPOT, true);
  add("/fapi/v1/", usdm, live, false);
  add("/fapi/v1/", usdm, USDM, true);
  add("/fapi/v2/", usdm, { "ticker/price": tickerPrice }, true);

  function ping(_market: Market, query: Query): string {
    query.end();
    return "{}";
  }

  function time(_market: Market, query: Query): string {
    query.end();
    return `{"serverTime":${wallMs(clock)}}`;
  }

  function exchangeInfo(market: Market, query: Query): string {
    const now = wallMs(clock);
    if (!market.isSpot) {
      const assets = JSON.stringify(marginAssets(market.list()));
      const symbols = everySymbol(market);
      return `{"timezone":"UTC","serverTime":${now},"rateLimits":[],"exchangeFilters":[],"assets":${assets},"symbols":${symbols}}`;
    }
    const asked = query.symbols();
    // Every symbol has the permission SPOT and no other: these change nothing.
    for (const name of ["permissions", "showPermissionSets", "symbolStatus"]) query.optional(name);
    query.end();
    const names = asked === null ? null : "one" in asked ? [asked.one] : asked.list;
    const symbols =
      names === null ? everySymbol(market) : JSON.stringify(names.map((name) => spotSymbol(market.find(name))));
    return `{"timezone":"UTC","serverTime":${now},"rateLimits":[],"exchangeFilters":[],"symbols":${symbols}}`;
  }

  function everySymbol(market: Market): string {
    let text = allSymbols.get(market);
    if (text === undefined) {
      text = JSON.stringify(market.list().map(market.isSpot ? spotSymbol : usdmSymbol));
      allSymbols.set(market, text);
    }
    return text;
  }

  async function depth(market: Market, query: Query): Promise<string> {
    const symbol = query.symbol();
    const limit = market.isSpot ? query.limit(SPOT_DEPTH) : usdmDepthLimit(query);
    query.end();
    const book = await market.book(market.find(symbol), limit);
    if (book === null) throw new Refusal(UNAVAILABLE);
    return depthText(market, book);
  }

  function depthText(market: Market, book: Book): string {
    let text = depthTexts.get(book);
    if (text === undefined) {
      const times = market.isSpot ? "" : `"E":${wallMs(clock)},"T":${book.time},`;
      const { lastUpdateId, bids, asks } = book;
      text = `{"lastUpdateId":${lastUpdateId},${times}"bids":${levelsText(bids)},"asks":${levelsText(asks)}}`;
      depthTexts.set(book, text);
    }
    return text;
  }

  async function answer(path: string, text: string): Promise<RestReply> {
    const endpoint = endpoints.get(path);
    if (endpoint === undefined) return fail(404, -1000, `Path ${path.slice(0, 200)} is not served here`);
    const { market, make, isCached } = endpoint;
    const body = (): Promise<string> | string => make(market, new Query(text, market.isSpot));
    return ok(await (isCached ? moments.reply(`${path}?${text}`, body) : body()));
  }

  return {
    async handle(path, query) {
      if (pending >= pendingMax) return TOO_MANY_REQUESTS;
      pending++;
      try {
        return await answer(path, query.startsWith("?") ? query.slice(1) : query);
      } catch (error) {
        if (error instanceof Refusal) return error.reply;
        // A GatewayError is an owner that does not answer just now: the client is told to try again.
        if (!(error instanceof GatewayError)) ports.failed?.(error);
        return UNAVAILABLE;
      } finally {
        pending--;
      }
    },
  };
}

function usdmDepthLimit(query: Query): number {
  const limit = query.number("limit");
  if (limit === null) return USDM_DEPTH_DEFAULT;
  if (!USDM_DEPTH_LIMITS.includes(limit)) throw refuse.depthLimit(String(limit));
  return limit;
}
