import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ShardHeader, StateReply } from "../bus/bus.ts";
import type { ChannelConsumer } from "../bus/consumer.ts";
import type { Channel, Making } from "../channel/channel.ts";
import { compare } from "../channel/decimal.ts";
import { InstrumentRegistry } from "../channel/registry.ts";
import type { AvgPrice, Candle, Publication, Trade, WindowTicker } from "../channel/types.ts";
import { fillOf } from "../ingest/derive/fill.ts";
import { CandleStream } from "../ingest/derive/streams.ts";
import { makeFrom } from "./made.ts";

const HEADER: ShardHeader = { version: 1, shard: "s", token: 1, epoch: "e1" };
const START = Date.UTC(2026, 2, 1);
const HOUR = 3_600_000;

/** What a made channel said: its states and publications, in order. */
class Heard implements ChannelConsumer {
  readonly states: StateReply[] = [];
  readonly publications: Publication[] = [];
  readonly others: string[] = [];
  state(reply: StateReply): void {
    this.states.push(reply);
  }
  publication(p: Publication): void {
    this.publications.push(p);
  }
  stale(reason: string): void {
    this.others.push(reason);
  }
  fresh(): void {
    this.others.push("fresh");
  }
  unavailable(code: number): void {
    this.others.push(String(code));
  }
  value(): unknown {
    const last = this.publications.at(-1);
    if (last?.type !== "value") throw new Error("no value yet");
    return last.data;
  }
}

const registry = new InstrumentRegistry();
registry.learn("spot", "BTCUSDT");

function made(stream: string, making?: Making) {
  const known = registry.resolve(`btcusdt@${stream}`);
  if (known === null) throw new Error(`no channel ${stream}`);
  const channel: Channel = making === undefined ? known : { ...known, made: making };
  const heard = new Heard();
  if (channel.made === undefined) throw new Error(`${stream} is not made`);
  return { heard, maker: makeFrom(channel, channel.made, heard), from: channel.made.from };
}

const reply = (more: Partial<StateReply>): StateReply => ({
  ...HEADER,
  channel: "btcusdt@kline_1m",
  user: "",
  seq: null,
  provides: [],
  after: null,
  state: null,
  time: 0,
  history: [],
  stale: false,
  ...more,
});

const candlesAt = (seq: number, time: number, data: readonly Candle[], prev: number | null = seq - 1): Publication => ({
  channel: "btcusdt@kline_1m",
  kind: "kline",
  user: "",
  type: "candles",
  data,
  seq,
  prev,
  time,
  receivedUs: 1,
});

const trade = (t: number, time: number, price: number, quantity: number): Trade => ({
  id: String(t),
  t,
  price: price.toFixed(2),
  quantity: quantity.toFixed(3),
  side: t % 2 === 0 ? "buy" : "sell",
  time,
});

/** Trades, oldest first: up to two hours between them. */
const trades = fc
  .array(
    fc.record({
      gap: fc.integer({ min: 0, max: 2 * HOUR }),
      price: fc.integer({ min: 9000, max: 11_000 }),
      lots: fc.integer({ min: 1, max: 5000 }),
    }),
    { minLength: 1, maxLength: 120 },
  )
  .map((steps) => {
    let time = START;
    return steps.map(({ gap, price, lots }, i) => {
      time += gap;
      return trade(i, time, price / 100, lots / 1000);
    });
  });

/** The candles of an interval as their owner would publish them, one publication a trade. */
function publications(stream: CandleStream, all: readonly Trade[]): Publication[] {
  return all.map((one, i) => {
    stream.add(fillOf(one), START, i + 1);
    const body = stream.change();
    if (body.type !== "candles") throw new Error("no candles");
    return candlesAt(i + 1, one.time, body.data, i === 0 ? null : i);
  });
}

test("made - a rolling window says what its trades say, from a whole minute on", () => {
  fc.assert(
    fc.property(trades, (all) => {
      const { heard, maker } = made("ticker_1h");
      maker.state(reply({}), "first");
      for (const p of publications(new CandleStream("1m"), all)) maker.publication(p, HEADER);
      const ticker = heard.value() as WindowTicker;
      const now = all.at(-1)!.time;
      const start = Math.floor(now / 60_000) * 60_000 - HOUR;
      const inside = all.filter((one) => one.time >= start);
      const prices = inside.map((one) => one.price);
      const sum = (f: (one: Trade) => number) => inside.reduce((total, one) => total + f(one), 0);
      expect(ticker).toMatchObject({
        openTime: start,
        closeTime: now,
        open: prices[0]!,
        close: prices.at(-1)!,
        high: prices.reduce((a, b) => (compare(b, a) > 0 ? b : a)),
        low: prices.reduce((a, b) => (compare(b, a) < 0 ? b : a)),
        firstId: inside[0]!.t,
        lastId: inside.at(-1)!.t,
        count: inside.length,
      });
      expect(Number(ticker.volume)).toBeCloseTo(
        sum((one) => Number(one.quantity)),
        6,
      );
      expect(Number(ticker.quoteVolume)).toBeCloseTo(
        sum((one) => Number(one.quantity) * Number(one.price)),
        5,
      );
      // Nobody knows what was before the first candle.
      expect(ticker.partial).toBe(start < Math.floor(all[0]!.time / 60_000) * 60_000);
    }),
  );
});

test("made - a window begins with what the owner keeps", () => {
  const stream = new CandleStream("1m");
  const all = Array.from({ length: 200 }, (_, i) => trade(i, START + i * 60_000, 100 + i, 1));
  const [before, after] = [all.slice(0, 150), all.slice(150)];
  const past = publications(stream, before);
  const straight = made("ticker_1h");
  straight.maker.state(reply({}), "first");
  for (const p of past) straight.maker.publication(p, HEADER);

  const joined = made("ticker_1h");
  const last = past.at(-1)!;
  const state = last.type === "candles" ? ({ type: "candles", data: last.data.slice(-1) } as const) : null;
  joined.maker.state(reply({ seq: 150, history: past, state, time: last.time }), "first");
  expect(joined.heard.states).toMatchObject([{ channel: "btcusdt@ticker_1h", seq: 150, history: [] }]);
  expect(joined.heard.states[0]?.state).toEqual({ type: "value", data: straight.heard.value() as WindowTicker });
  for (const one of after) {
    stream.add(fillOf(one), START, one.t + 1);
    const body = stream.change();
    if (body.type !== "candles") throw new Error("no candles");
    for (const { maker } of [straight, joined]) maker.publication(candlesAt(one.t + 1, one.time, body.data), HEADER);
  }
  expect(joined.heard.value()).toEqual(straight.heard.value());
  expect((joined.heard.value() as WindowTicker).count).toBe(61);
});

test("made - avgPrice is the average by volume of five minutes, and the time is that of the last trade", () => {
  const { heard, maker } = made("avgPrice");
  const stream = new CandleStream("1s");
  const all = [trade(0, START, 100, 1), trade(1, START + 200_000, 110, 1), trade(2, START + 310_000, 130, 3)];
  maker.state(reply({}), "first");
  for (const p of publications(stream, all)) maker.publication(p, HEADER);
  expect(heard.value() as AvgPrice).toEqual({
    interval: "5m",
    price: "125.00000000",
    tradeTime: START + 310_000,
  });
  stream.advance(START + 320_500, START, 4);
  const body = stream.change();
  if (body.type !== "candles") throw new Error("no candles");
  maker.publication(candlesAt(4, START + 320_500, body.data), HEADER);
  expect(heard.value() as AvgPrice).toMatchObject({ price: "125.00000000", tradeTime: START + 310_000 });
});

test("made - longer candles put together from shorter ones are those built from the trades", () => {
  fc.assert(
    fc.property(trades, (all) => {
      const making = { how: "span", from: "btcusdt@kline_2h", offsetMs: 0 } as const;
      const { heard, maker } = made("kline_6h_utc8", making);
      maker.state(reply({}), "first");
      for (const p of publications(new CandleStream("2h"), all)) maker.publication(p, HEADER);
      const direct = new Map<number, Candle>();
      for (const p of publications(new CandleStream("6h"), all)) {
        if (p.type === "candles") for (const candle of p.data) direct.set(candle.openTime, candle);
      }
      const mine = new Map<number, Candle>();
      for (const p of heard.publications) {
        if (p.type === "candles") for (const candle of p.data) mine.set(candle.openTime, candle);
      }
      // Of a first span nobody knows what was before its first short candle.
      const first = [...direct.values()][0]!;
      const isLate = Math.floor(all[0]!.time / (2 * HOUR)) * 2 * HOUR > first.openTime;
      direct.set(first.openTime, { ...first, partial: first.partial || isLate });
      expect([...mine.values()]).toEqual([...direct.values()]);
    }),
    { examples: [[[trade(0, START + 8 * HOUR, 90, 1), trade(1, START + 8 * HOUR, 90, 2)]]] },
  );
});

test("made - days of UTC+8 begin at 16:00 UTC, a closed one is sent once, in order, with its state from history", () => {
  const all = Array.from({ length: 30 }, (_, i) => trade(i, START + i * 2 * HOUR, 100 + i, 1));
  const past = publications(new CandleStream("4h"), all);
  const { heard, maker } = made("kline_1d_utc8");
  maker.state(reply({}), "first");
  for (const p of past) maker.publication(p, HEADER);
  const closed = heard.publications.flatMap((p) => (p.type === "candles" ? p.data.filter((c) => c.closed) : []));
  expect(closed.map(({ openTime, closeTime, partial }) => [openTime, closeTime, partial])).toEqual([
    [START - 8 * HOUR, START + 16 * HOUR - 1, true],
    [START + 16 * HOUR, START + 40 * HOUR - 1, false],
  ]);
  expect(closed[1]).toMatchObject({
    interval: "1d",
    open: "108.00",
    close: "119.00",
    count: 12,
    firstId: 8,
    lastId: 19,
  });
  expect(heard.publications.map((p) => p.seq)).toEqual(all.map((_, i) => i + 1));

  const joined = made("kline_1d_utc8");
  joined.maker.state(reply({ seq: 30, history: past }), "first");
  const now = heard.publications.at(-1)!;
  expect(joined.heard.states[0]?.state).toEqual({
    type: "candles",
    data: now.type === "candles" ? now.data.slice(-1) : [],
  });
});

test("made - another name for the same candles", () => {
  const { heard, maker, from } = made("continuousKline_1m");
  expect(from).toBe("btcusdt@kline_1m");
  const [p] = publications(new CandleStream("1m"), [trade(0, START, 100, 1)]);
  maker.state(reply({ seq: 0 }), "first");
  maker.publication(p!, HEADER);
  expect(heard.publications).toEqual([{ ...p!, channel: "btcusdt@continuousKline_1m" }]);
  maker.stale("no-head");
  maker.fresh();
  maker.unavailable(1203, "x");
  expect(heard.others).toEqual(["no-head", "fresh", "1203"]);
});

test("made - a new epoch voids the window", () => {
  const { heard, maker } = made("ticker_1h");
  const [a, b] = publications(new CandleStream("1m"), [trade(0, START, 100, 1), trade(1, START + 60_000, 200, 1)]);
  maker.state(reply({}), "first");
  maker.publication(a!, HEADER);
  if (b?.type !== "candles") throw new Error("no candles");
  maker.publication({ ...b, prev: null, data: b.data.slice(-1) }, { ...HEADER, epoch: "e2" });
  expect(heard.value() as WindowTicker).toMatchObject({ open: "200.00", count: 1, partial: true });
});

test("made - a day of UTC+8 that closed while its candles had to be healed is told", () => {
  const { heard, maker } = made("kline_1d_utc8");
  const candle = (openTime: number, closed: boolean): Candle => ({
    interval: "4h",
    openTime,
    closeTime: openTime + 4 * HOUR - 1,
    open: "1",
    high: "1",
    low: "1",
    close: "1",
    volume: "1",
    quoteVolume: "1",
    takerVolume: "0",
    takerQuoteVolume: "0",
    firstId: 1,
    lastId: 1,
    count: 1,
    closed,
    partial: false,
  });
  const at = (hours: number) => START + hours * HOUR;
  maker.state(reply({ seq: 5, state: { type: "candles", data: [candle(at(12), false)] } }), "first");
  const history = [candlesAt(8, at(16), [candle(at(12), true), candle(at(16), false)], 6)];
  maker.state(reply({ seq: 8, state: { type: "candles", data: [candle(at(16), false)] }, history }), "heal");
  const healed = heard.states.at(-1)!;
  expect(healed.history).toMatchObject([{ seq: 8, prev: 5, data: [{ openTime: at(-8), closed: true }] }]);
  expect(healed.state).toMatchObject({ data: [{ openTime: at(16), closed: false }] });
});

test("made - closed days are in the history of who opens the channel again, so that `since` finds them", () => {
  const all = Array.from({ length: 30 }, (_, i) => trade(i, START + i * 2 * HOUR, 100 + i, 1));
  const past = publications(new CandleStream("4h"), all);
  const { heard, maker } = made("kline_1d_utc8");
  maker.state(reply({}), "first");
  for (const p of past) maker.publication(p, HEADER);
  const closings = heard.publications.filter((p) => p.type === "candles" && p.data.some(({ closed }) => closed));
  const joined = made("kline_1d_utc8");
  joined.maker.state(reply({ seq: 30, history: past }), "first");
  const { history } = joined.heard.states[0]!;
  // The owner's history ends with the candle of now.
  expect(history.map(({ seq, type, data }) => [seq, type, data])).toEqual(
    [...closings, heard.publications.at(-1)!].map(({ seq, type, data }) => [seq, type, data]),
  );
  expect(history.map(({ prev }) => prev)).toEqual([past[0]!.prev, ...history.slice(0, -1).map(({ seq }) => seq)]);
});
