/**
 * What a node really published, as its native client saw it in real time: every event and every REST reply that a library
 * hands to its user must say the same.
 */
import type { Frame } from "../../lib/frame-socket.ts";
import type { NativeClient } from "../../lib/native-client.ts";
import type { PlainBook } from "../../lib/plain-book.ts";
import { waitFor } from "../../lib/wait.ts";
import { BookHistory } from "./book-history.ts";

export type Market = "spot" | "usdm";

/** An event of a Binance stream as a library parsed it. */
export type Event = Readonly<Record<string, unknown>>;

type Levels = readonly (readonly (string | number)[])[];

const SYMBOL = "btcusdt";
const STREAMS: Readonly<Record<Market, readonly string[]>> = {
  spot: ["trade", "aggTrade", "depth", "bookTicker", "ticker", "miniTicker", "kline_1m", "avgPrice", "ticker_1h"],
  usdm: ["trade", "aggTrade", "depth", "bookTicker", "ticker", "miniTicker", "kline_1m", "markPrice"],
};

const channelOf = (market: Market, stream: string): string => `${market === "spot" ? "" : "usdm:"}${SYMBOL}@${stream}`;

export class Truth {
  readonly #native: NativeClient;
  readonly #books: Readonly<Record<Market, BookHistory>>;

  private constructor(native: NativeClient) {
    this.#native = native;
    const history = (market: Market) => new BookHistory(native.stream(channelOf(market, "depth")));
    this.#books = { spot: history("spot"), usdm: history("usdm") };
  }

  static async start(native: NativeClient): Promise<Truth> {
    const channels = (["spot", "usdm"] as const).flatMap((market) =>
      STREAMS[market].map((stream) => channelOf(market, stream)),
    );
    const reply = await native.subscribe(channels);
    if (reply.errors !== undefined) throw new Error(`not to be subscribed: ${JSON.stringify(reply.errors)}`);
    return new Truth(native);
  }

  /** Broken chains of the native client: there must be none for it to be the truth. */
  get faults(): readonly string[] {
    return this.#native.faults;
  }

  /** Resolves once the node is seen to have published this; rejects if it is not. */
  async confirm(market: Market, event: Event): Promise<void> {
    const { e } = event;
    // Binance gives it no name; a library may.
    if (event.bids !== undefined)
      return this.top(market, event.lastUpdateId as number, event.bids as Levels, event.asks as Levels);
    const k = event.k as Event | undefined;
    switch (e) {
      case "trade":
        return this.#published(market, "trade", event, (data) => data.id === String(event.t) && sameTrade(data, event));
      case "aggTrade":
        return this.#published(
          market,
          "aggTrade",
          event,
          (data) => data.a === event.a && data.firstId === event.f && data.lastId === event.l && sameTrade(data, event),
        );
      case "depthUpdate":
        return this.#levels(market, event.u as number, event.b as Levels, event.a as Levels);
      case "24hrTicker":
        return this.#published(
          market,
          "ticker",
          event,
          (data) =>
            sameWindow(data, event) &&
            data.change === event.p &&
            data.changePercent === event.P &&
            data.weightedAverage === event.w &&
            data.count === event.n,
        );
      case "24hrMiniTicker":
        return this.#published(market, "miniTicker", event, (data) => sameWindow(data, event));
      case "1hTicker":
        return this.#published(
          market,
          "ticker_1h",
          event,
          (data) => sameWindow(data, event) && data.weightedAverage === event.w && data.count === event.n,
        );
      case "avgPrice":
        return this.#published(
          market,
          "avgPrice",
          event,
          (data) => data.price === event.w && data.interval === event.i,
        );
      case "markPriceUpdate":
        return this.#published(
          market,
          "markPrice",
          event,
          (data) =>
            data.mark === event.p &&
            data.index === event.i &&
            data.fundingRate === event.r &&
            data.nextFundingTime === event.T,
        );
      case "kline":
      case "continuous_kline":
        return this.#published(market, "kline_1m", event, (data) => sameCandle(data, k as Event));
      case undefined:
      case "bookTicker":
        return this.#published(
          market,
          "bookTicker",
          event,
          ({ bid, bidQuantity, ask, askQuantity }, seq) =>
            seq === event.u && sameTexts([bid, bidQuantity, ask, askQuantity], [event.b, event.B, event.a, event.A]),
        );
      default:
        throw new Error(`an event that nobody asked for: ${JSON.stringify(event)}`);
    }
  }

  /** The best levels of the node's book at `seq` are these. */
  async top(market: Market, seq: number, bids: Levels, asks: Levels): Promise<void> {
    const book = await this.#bookAt(market, seq);
    const same = sameLevels(book.bids(), bids) && sameLevels(book.asks(), asks);
    if (!same || bids.length === 0)
      throw new Error(
        `${market} at ${seq}: ${JSON.stringify({ bids, asks })} is not ${JSON.stringify(book.depth(20))}`,
      );
  }

  /** A value or item of a channel that `found` accepts was published, or will be before long. */
  async published(
    market: Market,
    stream: string,
    what: string,
    found: (data: Frame, seq: number) => boolean,
  ): Promise<void> {
    const channel = channelOf(market, stream);
    const { pushes } = this.#native.stream(channel);
    let looked = 0;
    const matches = (): boolean => {
      for (; looked < pushes.length; looked++) {
        const { data, seq = -1 } = pushes[looked]!;
        const all = Array.isArray(data) ? (data as Frame[]) : [data as Frame];
        if (all.some((one) => found(one, seq))) return true;
      }
      return false;
    };
    await waitFor(matches, () => `${channel} publishes ${what}`, 5000);
  }

  #published(
    market: Market,
    stream: string,
    event: Event,
    found: (data: Frame, seq: number) => boolean,
  ): Promise<void> {
    return this.published(market, stream, JSON.stringify(event), found);
  }

  /** A delta's levels are those of the book that it ends on. */
  async #levels(market: Market, seq: number, bids: Levels, asks: Levels): Promise<void> {
    const book = await this.#bookAt(market, seq);
    for (const [changed, side] of [
      [bids, book.bids()],
      [asks, book.asks()],
    ] as const) {
      const held = new Map(side.map(([price, quantity]) => [Number(price), Number(quantity)]));
      const wrong = changed.find(([price, quantity]) => (held.get(Number(price)) ?? 0) !== Number(quantity));
      if (wrong !== undefined)
        throw new Error(`${market} at ${seq}: ${wrong} but the book has ${held.get(Number(wrong[0]))}`);
    }
  }

  async #bookAt(market: Market, seq: number): Promise<PlainBook> {
    const history = this.#books[market];
    await waitFor(
      () => history.last >= seq,
      () => `${market} reaches ${seq}, it has ${history.last}`,
      5000,
    );
    const book = history.at(seq);
    if (book === null) throw new Error(`no publication of the ${market} book ended at ${seq}`);
    return book;
  }
}

const sameTexts = (a: readonly unknown[], b: readonly unknown[]): boolean => a.every((one, i) => one === b[i]);

const sameTrade = (data: Frame, event: Event): boolean =>
  sameTexts([data.price, data.quantity, data.time, data.side === "sell"], [event.p, event.q, event.T, event.m]);

const sameWindow = (data: Frame, event: Event): boolean =>
  sameTexts(
    [data.open, data.high, data.low, data.close, data.volume, data.quoteVolume],
    [event.o, event.h, event.l, event.c, event.v, event.q],
  );

const sameCandle = (data: Frame, k: Event): boolean =>
  sameTexts(
    [data.openTime, data.closeTime, data.open, data.high, data.low, data.close, data.volume, data.count, data.closed],
    [k.t, k.T, k.o, k.h, k.l, k.c, k.v, k.n, k.x],
  );

const sameLevels = (mine: Levels, theirs: Levels): boolean =>
  theirs.every(
    ([price, quantity], i) => Number(mine[i]?.[0]) === Number(price) && Number(mine[i]?.[1]) === Number(quantity),
  );
