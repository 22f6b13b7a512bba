import { expect, test } from "bun:test";
import type { ShardHeader, StateReply } from "../bus/bus.ts";
import type { ChannelConsumer } from "../bus/consumer.ts";
import { InstrumentRegistry } from "../channel/registry.ts";
import type { Body, BookTicker, Kind, Liquidation, MarketMembers, MiniTicker, Position } from "../channel/types.ts";
import { createFakeClock } from "../lib/fake-clock.ts";
import { LIQUIDATION, TICKER } from "../protocol/testing.ts";
import { type DirectHead, RecordKind, type Rung } from "../ring/messages.ts";
import { Engine } from "./engine.ts";
import { MemoryRing, plainEncoder } from "./testing/rig.ts";

const HEADER: ShardHeader = { version: 1, shard: "s", token: 1, epoch: "e1" };

/** An engine over a market of instruments, with a follower that says what a test says. */
class Stage {
  readonly ring = new MemoryRing();
  readonly clock = createFakeClock(1_795_321_300_000_000);
  readonly registry = new InstrumentRegistry();
  readonly consumers = new Map<string, ChannelConsumer>();
  readonly engine: Engine;
  #request = 0;
  #last = new Map<string, number>();

  constructor(symbols: readonly string[], market = "usdm") {
    for (const symbol of symbols) this.registry.learn(market, symbol);
    this.engine = new Engine({
      ring: this.ring,
      clock: this.clock,
      catalog: this.registry,
      instruments: this.registry,
      follower: {
        follow: (name, consumer) => {
          this.consumers.set(name, consumer);
          return { close: () => void this.consumers.delete(name) };
        },
      },
      encoders: { native: plainEncoder, binance: plainEncoder },
    });
  }

  /** Returns the answer, once there is one. */
  join(
    channel: string,
    rung: Rung,
    since: Position | null = null,
  ): () => { head: DirectHead; symbols: string[][]; topic: number } {
    const request = ++this.#request;
    const key = { channel, rung, dialect: "binance", timeUnit: "ms" } as const;
    this.engine.handle(0, { is: "join", request, key, since });
    return () => {
      const answer = this.ring.records.find((r) => r.kind === RecordKind.DIRECT && r.fields.request === request);
      if (answer === undefined) throw new Error("the join is not answered yet");
      const [head, ...frames] = answer.text.split("\n");
      return { head: JSON.parse(head!), symbols: frames.map(symbolsOf), topic: answer.fields.topic! };
    };
  }

  ready(name: string, more: Partial<StateReply> = {}): void {
    const nothing = { user: "", seq: null, provides: [], after: null, state: null, time: 0, history: [], stale: false };
    const reply = { ...HEADER, ...nothing, channel: name, ...more };
    if (reply.seq !== null) this.#last.set(name, reply.seq);
    this.consumers.get(name)!.state(reply, "first");
  }

  publish(name: string, kind: Kind, seq: number, body: Body): void {
    const place = { channel: name, kind, user: "", time: seq, seq, prev: this.#last.get(name) ?? null, receivedUs: 1 };
    this.#last.set(name, seq);
    this.consumers.get(name)!.publication({ ...place, ...body }, HEADER);
  }

  ticker(symbol: string, seq: number, close = "1"): void {
    const data: MiniTicker = { ...TICKER, close };
    this.publish(`usdm:${symbol}@miniTicker`, "miniTicker", seq, { type: "value", data });
  }

  frames(topic: number): { members: MarketMembers["members"]; prev: number | null; seq: number }[] {
    return this.ring.records
      .filter((r) => r.kind === RecordKind.PUBLISH && r.fields.topic === topic)
      .map((r) => JSON.parse(r.text))
      .map(({ data, prev, seq }) => ({ members: data.members, prev, seq }));
  }

  symbols(topic: number): string[][] {
    return this.frames(topic).map(({ members }) => members.map((one) => one.symbol));
  }
}

/** Of a frame of one instrument: none. */
const symbolsOf = (frame: string): string[] =>
  (JSON.parse(frame).data.members ?? []).map((one: { symbol: string }) => one.symbol);

const ARRAY = "usdm:!miniTicker@arr";

test("all-market - a flush holds the instruments that changed, each once, with its newest value", () => {
  const stage = new Stage(["AAA", "BBB", "CCC"]);
  const joined = stage.join(ARRAY, 2000);
  for (const symbol of ["aaa", "bbb", "ccc"]) {
    expect(joined).toThrow("not answered yet");
    stage.ready(`usdm:${symbol}@miniTicker`);
  }
  const { head, symbols, topic } = joined();
  expect(head).toMatchObject({ is: "joined", seq: null });
  expect(symbols).toEqual([]);
  stage.ticker("bbb", 5, "1");
  stage.ticker("aaa", 6, "2");
  stage.ticker("bbb", 7, "3");
  stage.clock.advance(2000);
  stage.ticker("ccc", 8, "4");
  stage.clock.advance(2000);
  stage.clock.advance(4000);
  expect(stage.symbols(topic)).toEqual([["bbb", "aaa"], ["ccc"]]);
  const [first, second] = stage.frames(topic);
  expect(first!.members[0]).toMatchObject({ seq: 7, data: { close: "3" } });
  // The chain is the array's own.
  expect([first!.prev, first!.seq, second!.prev, second!.seq]).toEqual([null, 3, 3, 4]);
});

test("all-market - a joiner gets what is known of the whole market, and later ones too", () => {
  const stage = new Stage(["AAA", "BBB", "CCC"]);
  const first = stage.join(ARRAY, 2000);
  stage.ready("usdm:aaa@miniTicker", { seq: 3, state: { type: "value", data: TICKER }, time: 3 });
  stage.ready("usdm:bbb@miniTicker");
  stage.consumers.get("usdm:ccc@miniTicker")!.unavailable(1501, "no answer");
  expect(first()).toMatchObject({ head: { seq: 1 }, symbols: [["aaa"]] });
  stage.ticker("bbb", 9);
  const later = stage.join(ARRAY, 2000)();
  expect(later.symbols).toEqual([["aaa", "bbb"]]);
  expect(later.head).toMatchObject({ seq: 2, later: "ask" });
});

test("all-market - spot tickers begin when the books that they show the best of are known, one ticker or all", () => {
  const stage = new Stage(["AAA", "BBB"], "spot");
  const one = stage.join("aaa@ticker", 1000);
  const all = stage.join("!ticker@arr", 1000);
  const ticker = { seq: 3, state: { type: "value", data: TICKER }, time: 3 } as const;
  for (const symbol of ["aaa", "bbb"]) stage.ready(`${symbol}@ticker`, ticker);
  expect(one).toThrow("not answered yet");
  stage.ready("aaa@depth");
  expect(one().head).toMatchObject({ is: "joined", seq: 3 });
  expect(all).toThrow("not answered yet");
  stage.consumers.get("bbb@depth")!.unavailable(1501, "no answer");
  expect(all().symbols).toEqual([["aaa", "bbb"]]);
});

test("all-market - an instrument that is learned later is in it", () => {
  const stage = new Stage(["AAA"]);
  const joined = stage.join(ARRAY, 2000);
  stage.ready("usdm:aaa@miniTicker");
  const { topic } = joined();
  stage.registry.learn("spot", "CCC");
  stage.registry.learn("usdm", "BBB");
  stage.registry.update("usdm", "bbb", { tick: "0.1" });
  expect([...stage.consumers.keys()]).toEqual(["usdm:aaa@miniTicker", "usdm:bbb@miniTicker"]);
  stage.ready("usdm:bbb@miniTicker");
  stage.ticker("bbb", 4);
  stage.clock.advance(2000);
  expect(stage.symbols(topic)).toEqual([["bbb"]]);
});

test("all-market - when its last session leaves, so does all its interest", () => {
  const stage = new Stage(["AAA", "BBB"]);
  const joined = stage.join(ARRAY, 2000);
  for (const symbol of ["aaa", "bbb"]) stage.ready(`usdm:${symbol}@miniTicker`);
  const { topic } = joined();
  expect(stage.engine.status()).toMatchObject({ channels: 3, topics: 1 });
  stage.engine.handle(0, { is: "leave", topic });
  expect(stage.engine.status()).toMatchObject({ channels: 0, topics: 0 });
  expect(stage.consumers.size).toBe(0);
  stage.registry.learn("usdm", "CCC");
  expect(stage.consumers.size).toBe(0);
});

test("all-market - of liquidations the largest of each instrument and flush; a joiner gets none of the past", () => {
  const stage = new Stage(["AAA", "BBB"]);
  const joined = stage.join("usdm:!forceOrder@arr", 1000);
  for (const symbol of ["aaa", "bbb"]) stage.ready(`usdm:${symbol}@forceOrder`);
  const { topic } = joined();
  const liquidate = (symbol: string, seq: number, quantities: readonly string[]) => {
    const data = quantities.map((quantity): Liquidation => ({ ...LIQUIDATION, quantity }));
    stage.publish(`usdm:${symbol}@forceOrder`, "liquidation", seq, { type: "items", data });
  };
  liquidate("aaa", 1, ["2", "10", "3"]);
  liquidate("bbb", 2, ["1"]);
  liquidate("aaa", 3, ["9.5"]);
  stage.clock.advance(1000);
  liquidate("aaa", 4, ["1"]);
  stage.clock.advance(1000);
  const flushes = stage
    .frames(topic)
    .map(({ members }) => members.map((m) => [m.symbol, (m.data as Liquidation).quantity]));
  expect(flushes).toEqual([
    [
      ["aaa", "10"],
      ["bbb", "1"],
    ],
    [["aaa", "1"]],
  ]);
  expect(stage.join("usdm:!forceOrder@arr", 1000)().symbols).toEqual([]);
});

test("all-market - contractInfo tells changes of the market's instruments as they come", () => {
  const stage = new Stage(["AAA"]);
  const { topic } = stage.join("usdm:!contractInfo", 0)();
  expect(stage.consumers.size).toBe(0);
  stage.registry.update("usdm", "aaa", { status: "halt" });
  stage.registry.learn("usdm", "BBB");
  stage.registry.learn("spot", "CCC");
  expect(stage.frames(topic).map(({ members }) => members[0])).toMatchObject([
    { symbol: "aaa", data: { status: "halt" } },
    { symbol: "bbb", data: { status: "trading" } },
  ]);
});

test("all-market - stale only while every instrument is", () => {
  const stage = new Stage(["AAA", "BBB"]);
  const joined = stage.join(ARRAY, 2000);
  for (const symbol of ["aaa", "bbb"]) {
    stage.ready(`usdm:${symbol}@miniTicker`, { seq: 1, state: { type: "value", data: TICKER } });
  }
  const { topic } = joined();
  const told = () =>
    stage.ring.records
      .filter((r) => r.kind === RecordKind.CONTROL)
      .map((r) => JSON.parse(r.text))
      .filter((control) => control.topic === topic)
      .map((control) => control.do);
  stage.consumers.get("usdm:aaa@miniTicker")!.stale("no-head");
  expect(told()).toEqual([]);
  stage.consumers.get("usdm:bbb@miniTicker")!.stale("no-head");
  expect(told()).toEqual(["stale"]);
  stage.consumers.get("usdm:aaa@miniTicker")!.fresh();
  expect(told()).toEqual(["stale", "fresh"]);
});

test("all-market - a lapped worker gets the instruments that changed behind what it saw", () => {
  const stage = new Stage(["AAA", "BBB"]);
  const joined = stage.join(ARRAY, 1000);
  for (const symbol of ["aaa", "bbb"]) stage.ready(`usdm:${symbol}@miniTicker`);
  const { topic } = joined();
  stage.ticker("aaa", 1);
  stage.clock.advance(1000);
  stage.ticker("bbb", 2);
  stage.clock.advance(1000);
  stage.engine.handle(0, { is: "lapped", request: 99, topics: [[topic, 1]] });
  const answer = stage.ring.records.find((r) => r.kind === RecordKind.DIRECT && r.fields.request === 99)!;
  const [head, ...frames] = answer.text.split("\n");
  expect(JSON.parse(head!)).toEqual({ is: "caughtUp", seq: 2 });
  expect(frames.map(symbolsOf)).toEqual([["bbb"]]);
});

test("all-market - channels that nodes make are members like any other", () => {
  const stage = new Stage(["AAA"]);
  stage.join("usdm:!ticker_1h@arr", 1000);
  expect([...stage.consumers.keys()]).toEqual(["usdm:aaa@kline_1m"]);
});

test("all-market - a position counts in the run of the channel that gave it, and in no other", () => {
  const stage = new Stage(["AAA", "BBB"]);
  const open = () => {
    const joined = stage.join(ARRAY, 2000);
    for (const symbol of ["aaa", "bbb"])
      stage.ready(`usdm:${symbol}@miniTicker`, { seq: 3, state: { type: "value", data: TICKER }, time: 3 });
    return joined();
  };
  const { head, topic } = open();
  stage.ticker("bbb", 4);
  if (head.is !== "joined") throw new Error("not joined");
  const { epoch } = head;
  expect(stage.join(ARRAY, 2000, { epoch, seq: 2 })()).toMatchObject({ head: { recovered: true }, symbols: [["bbb"]] });
  // Everybody leaves, and the counter begins anew.
  stage.engine.handle(0, { is: "leave", topic });
  stage.clock.advance(1);
  open();
  stage.ticker("aaa", 5);
  const late = stage.join(ARRAY, 2000, { epoch, seq: 2 })();
  expect(late).toMatchObject({ head: { recovered: false }, symbols: [["bbb", "aaa"]] });
});

test("all-market - what is derived from a book that could not be had at first is in it as soon as the book is", () => {
  for (const isUnowned of [false, true]) {
    const stage = new Stage(["AAA", "BBB"]);
    const joined = stage.join("usdm:!bookTicker", 1000);
    stage.consumers.get("usdm:aaa@depth")!.unavailable(1501, "no answer");
    stage.ready("usdm:bbb@depth");
    const { topic, symbols } = joined();
    expect(symbols).toEqual([]);
    expect(stage.join("usdm:aaa@bookTicker", 0)().head).toMatchObject({ is: "refused", code: 1501 });
    if (isUnowned) stage.consumers.get("usdm:aaa@depth")!.unavailable(1203, "no owner knows it");
    const book = { bids: [["1", "2"]], asks: [["3", "4"]] } as const;
    stage.ready("usdm:aaa@depth", { seq: 3, state: { type: "snapshot", data: book }, time: 3 });
    stage.clock.advance(1000);
    stage.publish("usdm:aaa@depth", "depth", 4, { type: "delta", data: { bids: [["1", "5"]], asks: [] } });
    stage.clock.advance(1000);
    const quantities = stage
      .frames(topic)
      .map(({ members }) => members.map(({ data }) => (data as BookTicker).bidQuantity));
    expect([isUnowned, quantities]).toEqual([isUnowned, [["2"], ["5"]]]);
    stage.engine.handle(0, { is: "leave", topic });
    expect([stage.engine.status().channels, stage.consumers.size]).toEqual([0, 0]);
  }
});
