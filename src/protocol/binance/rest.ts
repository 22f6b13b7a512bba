/**
 * Binance REST for spot: ping, time, exchangeInfo, depth.
 *
 * On the path: edge (HTTP) -> postMessage -> REST (main thread) -> engine's books and the instruments.
 * Invariants: every reply is JSON; an error has Binance's status, code and words; `handle` never rejects.
 * At the limit: more than `pendingMax` depth requests waiting at once are refused with 429, code -1003.
 */
import type { Instrument } from "../../channel/instruments.ts";
import type { Level } from "../../channel/types.ts";
import { type Clock, wallMs } from "../../lib/clock.ts";
import { levelsText } from "../levels.ts";
import { nameOf } from "../names.ts";
import { exchangeInfoSymbol } from "./exchange-info.ts";

/** A book for a REST client, or that there is none to be trusted now. */
export type DepthReply =
  | {
      readonly lastUpdateId: number;
      readonly bids: readonly Level[];
      readonly asks: readonly Level[];
      /** Source time in ms. */
      readonly time: number;
    }
  | { readonly unavailable: true };

/** What is needed of the instruments registry. */
export interface Instruments {
  list(market: string): readonly Instrument[];
  find(market: string, symbol: string): Instrument | null;
  onChange(listener: () => void): () => void;
}

export interface BinanceRestPorts {
  readonly instruments: Instruments;
  /** The best `limit` levels of a book (canonical channel name); the same object where nothing changed saves its encoding. */
  depth(channel: string, limit: number): Promise<DepthReply>;
  readonly clock: Clock;
  /** Default 1000. */
  readonly pendingMax?: number;
}

export interface RestReply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface BinanceRest {
  /** `path` without the query, `query` with or without its `?`. */
  handle(path: string, query: string): Promise<RestReply>;
}

const MARKET = "spot";
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 5000;
const SYMBOL_RANGE = "^[A-Z0-9-_.]{1,20}$";
const SYMBOL = /^[A-Z0-9\-_.]{1,20}$/;
const NUMBER_RANGE = "^[0-9]{1,20}$";
const NUMBER = /^[0-9]{1,20}$/;

export function createBinanceRest(ports: BinanceRestPorts): BinanceRest {
  const pendingMax = ports.pendingMax ?? 1000;
  const depthTexts = new WeakMap<object, string>();
  let pending = 0;
  /** Every symbol of exchangeInfo; made on demand, thrown away when an instrument changes. */
  let allSymbols: string | null = null;
  ports.instruments.onChange(() => {
    allSymbols = null;
  });

  const find = (symbol: string): Instrument | null => ports.instruments.find(MARKET, symbol.toLowerCase());

  function exchangeInfo(query: URLSearchParams): RestReply {
    const asked = askedSymbols(query);
    if ("status" in asked) return asked;
    let list: string;
    if (asked.symbols === null) {
      allSymbols ??= symbolsText(ports.instruments.list(MARKET));
      list = allSymbols;
    } else {
      const instruments = asked.symbols.map(find);
      if (!instruments.every((instrument) => instrument !== null)) return INVALID_SYMBOL;
      list = symbolsText(instruments);
    }
    const time = wallMs(ports.clock);
    return ok(`{"timezone":"UTC","serverTime":${time},"rateLimits":[],"exchangeFilters":[],"symbols":${list}}`);
  }

  async function depth(query: URLSearchParams): Promise<RestReply> {
    const symbol = query.get("symbol");
    if (symbol === null) return mandatory("symbol");
    if (symbol === "") return empty("symbol");
    if (!SYMBOL.test(symbol)) return illegal("symbol", SYMBOL_RANGE);
    const limit = readLimit(query.get("limit"));
    if (typeof limit !== "number") return limit;
    const instrument = find(symbol);
    if (instrument === null) return INVALID_SYMBOL;
    if (pending >= pendingMax) return TOO_MANY_REQUESTS;
    pending++;
    try {
      const reply = await ports.depth(nameOf(MARKET, instrument.symbol, "depth"), limit);
      return "unavailable" in reply ? UNAVAILABLE : ok(depthText(reply));
    } catch {
      return UNAVAILABLE; // the engine counts and logs its own failures; the client is told to try again
    } finally {
      pending--;
    }
  }

  function depthText(reply: Exclude<DepthReply, { readonly unavailable: true }>): string {
    let text = depthTexts.get(reply);
    if (text === undefined) {
      text = `{"lastUpdateId":${reply.lastUpdateId},"bids":${levelsText(reply.bids)},"asks":${levelsText(reply.asks)}}`;
      depthTexts.set(reply, text);
    }
    return text;
  }

  return {
    async handle(path, query) {
      const params = new URLSearchParams(query);
      switch (path) {
        case "/api/v3/ping":
          return ok("{}");
        case "/api/v3/time":
          return ok(`{"serverTime":${wallMs(ports.clock)}}`);
        case "/api/v3/exchangeInfo":
          return exchangeInfo(params);
        case "/api/v3/depth":
          return depth(params);
        default:
          return fail(404, -1000, `Path ${path.slice(0, 200)} is not served here`);
      }
    },
  };
}

const symbolsText = (instruments: readonly Instrument[]): string => JSON.stringify(instruments.map(exchangeInfoSymbol));

/** Null symbols: all of them. */
function askedSymbols(query: URLSearchParams): { readonly symbols: readonly string[] | null } | RestReply {
  const symbol = query.get("symbol");
  const symbols = query.get("symbols");
  if (symbol !== null && symbols !== null) {
    return fail(400, -1128, "Combination of optional parameters invalid.");
  }
  if (symbol === "") return empty("symbol");
  if (symbol !== null) return SYMBOL.test(symbol) ? { symbols: [symbol] } : illegal("symbol", SYMBOL_RANGE);
  if (symbols === null) return { symbols: null };
  if (symbols === "") return empty("symbols");
  const list = parseList(symbols);
  return list === null
    ? illegal("symbols", '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$')
    : { symbols: list };
}

/** `["A","B"]` with one symbol or more, each once. */
function parseList(text: string): readonly string[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(value) || value.length === 0) return null;
  if (!value.every((one): one is string => typeof one === "string" && SYMBOL.test(one))) return null;
  return [...new Set(value)];
}

function readLimit(text: string | null): number | RestReply {
  if (text === null) return LIMIT_DEFAULT;
  if (text === "") return empty("limit");
  if (!NUMBER.test(text)) return illegal("limit", NUMBER_RANGE);
  const limit = Number(text);
  if (limit === 0) return fail(400, -1130, "Data sent for parameter 'limit' is not valid.");
  return Math.min(limit, LIMIT_MAX);
}

const JSON_HEADERS = { "content-type": "application/json;charset=UTF-8" } as const;

function ok(body: string): RestReply {
  return { status: 200, body, headers: JSON_HEADERS };
}

function fail(status: number, code: number, msg: string): RestReply {
  return { status, body: JSON.stringify({ code, msg }), headers: JSON_HEADERS };
}

const mandatory = (name: string): RestReply =>
  fail(400, -1102, `Mandatory parameter '${name}' was not sent, was empty/null, or malformed.`);
const empty = (name: string): RestReply => fail(400, -1105, `Parameter '${name}' was empty.`);
const illegal = (name: string, range: string): RestReply =>
  fail(400, -1100, `Illegal characters found in parameter '${name}'; legal range is '${range}'.`);
const INVALID_SYMBOL = fail(400, -1121, "Invalid symbol.");
const UNAVAILABLE = fail(503, -1001, "Internal error; unable to process your request. Please try again.");
const TOO_MANY_REQUESTS: RestReply = {
  ...fail(429, -1003, "Too many requests; please wait and try again, or use the WebSocket streams."),
  headers: { ...JSON_HEADERS, "retry-after": "1" },
};
