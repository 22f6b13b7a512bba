import { expect, test } from "bun:test";
import fc from "fast-check";
import { createBook } from "../channel/book.ts";
import type { Publication } from "../channel/types.ts";
import type { SourceRecord } from "./source.ts";
import {
  balance,
  data,
  delta,
  json,
  recordsOf,
  rig,
  runThrough,
  type Step,
  snapshot,
  trade,
  trades,
  updatesMapper,
} from "./testing/rig.ts";

const T = 1_767_225_600_000;
const DEPTH = "btcusdt@depth";

const types = (publications: readonly Publication[]): string[] => publications.map((one) => one.type);

/** prev of each is the seq of the one before; the first has none. */
function expectChain(publications: readonly Publication[]): void {
  publications.forEach((one, index) => {
    expect(one.prev).toBe(index === 0 ? null : publications[index - 1]!.seq);
    if (index > 0) expect(one.seq).toBeGreaterThan(publications[index - 1]!.seq);
  });
}

/** What a follower has after these publications; null while stale or empty-handed. */
function follow(publications: readonly Publication[]) {
  const book = createBook();
  let trusted = false;
  for (const one of publications) {
    if (one.type === "snapshot") book.replace(one.data);
    if (one.type === "snapshot") trusted = true;
    if (one.type === "delta") book.apply(one.data);
    if (one.type === "stale") trusted = false;
  }
  return trusted ? { bids: book.bids(), asks: book.asks() } : null;
}

test("pipeline - seq is base + offset for every channel, prev the seq before in its chain", async () => {
  const records = recordsOf([
    data(snapshot(T, { bids: [["1", "1"]] }), json(T, "1")),
    data(json(T, "2")),
    data(),
    data(delta(T, { bids: [["2", "1"]] })),
  ]);
  const { bus, shard } = await runThrough(records);
  const { base } = shard.status();
  expect(bus.of(DEPTH).map(({ seq, prev }) => [seq, prev])).toEqual([
    [base, null],
    [base + 3, base],
  ]);
  expect(bus.of("c0").map(({ seq, prev }) => [seq, prev])).toEqual([
    [base, null],
    [base + 1, base],
  ]);
  expect(bus.published[0]).toMatchObject({
    header: { version: 1, shard: "shard-1", token: shard.status().token, epoch: "epoch-1" },
    topic: "fanout.btcusdt@depth",
    publication: { channel: DEPTH, kind: "depth", user: "", time: T, receivedUs: records[0]!.receivedUs },
  });
});

test("pipeline - private chains are numbered per user", async () => {
  const { bus } = await runThrough(
    recordsOf([data(balance(T, "ann", "1")), data(balance(T, "bob", "2")), data(balance(T, "ann", "3"))]),
  );
  expectChain(bus.of("balance").filter((one) => one.user === "ann"));
  expectChain(bus.of("balance").filter((one) => one.user === "bob"));
  expect(bus.of("balance")).toHaveLength(3);
});

test("pipeline - bad records are counted by reason, logged at most once a second each, and stop nothing", async () => {
  const odd = [
    data({ ...json(T, "1"), channel: "nobody@depth" }),
    data({ ...json(T, "1"), kind: "trade" }),
    data({ ...json(T, "1"), time: 1.5 }),
    data({ ...json(T, "1"), user: "ann" }),
    data({ ...balance(T, "", "1") }),
    data(trades([trade(T, "1e5", "1")])),
    data(trades([trade(T, "1", "1", { side: "up" as "buy" })])),
    data({ ...json(T, "1"), channel: "btcusdt@bookTicker", kind: "bookTicker" }),
    data({ ...json(T, "1"), channel: "spot:btcusdt@depth", kind: "depth" }),
    data({ ...snapshot(T, {}), type: "value" } as never),
  ];
  const garbage = Array.from({ length: 50 }, (): Step => ({ type: "data", value: "garbage" }));
  const { bus, shard, log } = await runThrough(recordsOf([...odd, ...garbage, data(json(T, "2"))]));
  expect(types(bus.of("c0"))).toEqual(["value"]);
  const { malformed, refused, records } = shard.status();
  expect(malformed).toEqual({ "not updates": 50, kind: 1, time: 1, user: 2, "trade number": 1, side: 1, form: 1 });
  expect(refused).toEqual({ "unknown channel": 2, "not provided": 1 });
  expect(records).toBe(61);
  const told = log.lines.filter((line) => line.message === "malformed: not updates");
  expect(told).toHaveLength(1);
  // An operator finds the record by it.
  expect(told[0]).toMatchObject({ fields: { shard: shard.id, offset: 10, record: "garbage" } });
});

test("pipeline - a mapper that throws is a malformed record", async () => {
  const mapper = {
    ...updatesMapper(),
    map: () => {
      throw new Error("bug");
    },
  };
  const { shard } = await runThrough(recordsOf([data(json(T, "1"))]), { mapper });
  expect(shard.status()).toMatchObject({ malformed: { "mapper failed": 1 }, failure: null });
});

test("pipeline - the log says which field a malformed record has wrong, and once whose records are left out", async () => {
  const answers = [
    { malformed: "bad trade", why: () => "trade.price is missing" },
    { skipped: "unmatched", symbol: "ETHUSDT", advice: "list it" },
    { skipped: "unmatched", symbol: "ETHUSDT", advice: "list it" },
  ] as const;
  let asked = 0;
  const mapper = { ...updatesMapper(), map: () => answers[asked++]! };
  const { shard, log } = await runThrough(recordsOf(answers.map(() => data())), { mapper });
  expect(shard.status()).toMatchObject({ malformed: { "bad trade": 1 }, refused: { unmatched: 2 } });
  const told = (start: string) => log.lines.filter(({ message }) => message.startsWith(start));
  expect(told("malformed: bad trade")).toMatchObject([{ fields: { why: "trade.price is missing" } }]);
  expect(told("unmatched: ")).toMatchObject([{ fields: { symbol: "ETHUSDT", advice: "list it" } }]);
});

test("pipeline - two updates of one channel in a record are merged and counted", async () => {
  const { bus, shard } = await runThrough(
    recordsOf([
      data(
        snapshot(T, { bids: [["1", "1"]], asks: [["3", "1"]] }),
        json(T, "1"),
        delta(T, { bids: [["2", "5"]], asks: [["3", "0"]] }),
        json(T, "2"),
      ),
      data(trades([trade(T, "1", "1")]), trades([trade(T, "2", "1")])),
    ]),
  );
  expect(bus.of(DEPTH)).toMatchObject([
    {
      type: "snapshot",
      data: {
        bids: [
          ["2", "5"],
          ["1", "1"],
        ],
        asks: [],
      },
    },
  ]);
  expect(bus.of("c0")).toMatchObject([{ data: { json: "2" } }]);
  expect(bus.of("btcusdt@trade")).toMatchObject([{ data: [{ price: "1" }, { price: "2" }] }]);
  expect(shard.status().merged).toBe(3);
});

test("pipeline - derived kinds: all from trades, unless the source provides them", async () => {
  const records = recordsOf([data(trades([trade(T, "10", "1"), trade(T, "10", "2")]))]);
  const all = await runThrough(records);
  const { base } = all.shard.status();
  expect(new Set(all.bus.published.map((one) => one.publication.channel)).size).toBe(20);
  expect(all.bus.published.every((one) => one.publication.seq === base && one.publication.prev === null)).toBe(true);
  expect(all.bus.of("btcusdt@trade")[0]?.data).toMatchObject([
    { id: String(base), t: base },
    { id: String(base + 1), t: base + 1 },
  ]);
  expect(all.bus.of("btcusdt@aggTrade")[0]?.data).toMatchObject([
    { a: base, quantity: "3", firstId: base, lastId: base + 1 },
  ]);
  expect(all.bus.of("btcusdt@kline_1M")[0]?.data).toMatchObject([{ count: 2, quoteVolume: "30", closed: false }]);
  const some = await runThrough(records, { provides: ["kline", "aggTrade"] });
  expect(some.bus.published.map((one) => one.publication.channel)).toEqual([
    "btcusdt@trade",
    "btcusdt@ticker",
    "btcusdt@miniTicker",
  ]);
});

test("pipeline - time moves by clock records too: closing and opening a candle is one publication", async () => {
  const { bus } = await runThrough(
    recordsOf([
      data(trades([trade(T, "10", "1")])),
      { type: "clock", time: T + 999 },
      { type: "clock", time: T + 1000 },
    ]),
  );
  const candles = bus.of("btcusdt@kline_1s");
  expectChain(candles);
  expect(candles.map((one) => one.data)).toMatchObject([
    [{ closed: false, count: 1 }],
    [
      { closed: true, openTime: T },
      { closed: false, openTime: T + 1000, count: 0, open: "10" },
    ],
  ]);
  expect(bus.of("btcusdt@kline_1m")).toHaveLength(1);
});

test("pipeline - a loss: books stale, lossless channels a gap, open candles and windows partial, values untouched", async () => {
  const { bus, shard } = await runThrough(
    recordsOf([
      // Not at the start of a candle, so that this one is partial anyway.
      data(json(T - 1, "1")),
      data(
        snapshot(T, { bids: [["1", "1"]] }),
        trades([trade(T + 10, "1", "1")]),
        json(T, "1"),
        balance(T, "ann", "1"),
      ),
      { type: "lost" },
      data(delta(T, { bids: [["2", "1"]] })),
      data(trades([trade(T + 20, "1", "1")])),
      data(trades([trade(T + 1000, "1", "1")])),
      data(snapshot(T, { bids: [["3", "1"]] })),
    ]),
  );
  expect(types(bus.of(DEPTH))).toEqual(["snapshot", "stale", "snapshot"]);
  expectChain(bus.of(DEPTH));
  for (const channel of ["btcusdt@trade", "btcusdt@aggTrade", "balance"]) {
    expect(bus.of(channel)[1]).toMatchObject({ type: "gap", data: { missed: null, reason: "source" } });
    expectChain(bus.of(channel));
  }
  expect(types(bus.of("c0"))).toEqual(["value", "value"]);
  const partials = bus
    .of("btcusdt@kline_1s")
    .map((one) => (one.type === "candles" ? one.data.map((c) => c.partial) : []));
  expect(partials).toEqual([[false], [true], [true], [true, false]]);
  expect(shard.status()).toMatchObject({ losses: 1, ignoredDeltas: 1, resyncs: { reconnect: 1 }, staleBooks: [] });
});

// --- properties ---------------------------------------------------------------------------------------------------

const price = fc.integer({ min: 1, max: 30 });
const level = (offset: number) =>
  fc.tuple(price, fc.constantFrom("0", "1", "2.50")).map(([p, q]): [string, string] => [String(offset + p), q]);
const sides = fc.record({
  bids: fc.array(level(0), { maxLength: 4 }),
  asks: fc.array(level(40), { maxLength: 4 }),
});
const fields = fc.record({ window: fc.constantFrom(0, 5) });
const gapMs = fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 200_000 }));

/** Deltas, snapshots, crossing deltas, bad levels, wrong checksums, losses, trades, clock records. */
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(sides, fields).map(
      ([s, f]) =>
        (time: number) =>
          data(delta(time, s, f)),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(sides, fields).map(
      ([s, f]) =>
        (time: number) =>
          data(snapshot(time, s, f)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant((time: number) => data(delta(time, { bids: [["60", "1"]], asks: [["50", "1"]] }))),
  },
  { weight: 1, arbitrary: fc.constant((time: number) => data(delta(time, { bids: [["x", "1"]] }))) },
  { weight: 1, arbitrary: fc.constant((time: number) => data(delta(time, { bids: [["7", "7"]] }, { checksum: -1 }))) },
  { weight: 1, arbitrary: fc.constant((): Step => ({ type: "lost" })) },
  { weight: 2, arbitrary: fc.constant((time: number): Step => ({ type: "clock", time })) },
  { weight: 1, arbitrary: fc.constant((): Step => ({ type: "data", value: "garbage" })) },
  {
    weight: 4,
    arbitrary: fc.array(fc.tuple(price, price), { minLength: 1, maxLength: 3 }).map(
      (list) => (time: number) =>
        data(
          trades(
            list.map(([p, q]) => trade(time, `${p}.5`, `0.${q}`)),
            "ethusdt@trade",
          ),
        ),
    ),
  },
);

const history = fc.array(fc.tuple(gapMs, step), { minLength: 1, maxLength: 60 }).map((list) => {
  let time = T;
  return recordsOf(
    list.map(([afterMs, make]) => {
      time += afterMs;
      return make(time);
    }),
  );
});

const mapper = updatesMapper(() => 0);

test("pipeline - property: what a follower makes of the publications is the owner's book, or it knows it is stale", async () => {
  await fc.assert(
    fc.asyncProperty(history, async (records) => {
      const one = rig(records, { mapper });
      await one.shard.start();
      await one.source.through;
      const published = one.bus.of(DEPTH);
      expectChain(published);
      if (published.length > 0) expect(published[0]?.type).toBe("snapshot");
      const reply = await one.bus.request({ channel: DEPTH, user: "", since: null });
      const mine = follow(published);
      if (reply !== null && published.length > 0) {
        expect(reply.stale).toBe(mine === null);
        expect(reply.seq).toBe(published.at(-1)!.seq);
        if (mine !== null) expect(reply.state).toEqual({ type: "snapshot", data: mine });
        // From any point of the chain the answer leads to the same book.
        for (const [index, { seq }] of published.entries()) {
          const since = { epoch: reply.epoch, seq };
          const { after } = (await one.bus.request({ channel: DEPTH, user: "", since }))!;
          expect(follow([...published.slice(0, index + 1), ...(after ?? [])])).toEqual(mine);
        }
      }
      await one.shard.stop();
    }),
    { numRuns: 60 },
  );
});

const asText = (publications: readonly Publication[]): string[] => publications.map((one) => JSON.stringify(one));
const publicationsOf = async (records: readonly SourceRecord[], options = {}): Promise<string[]> => {
  const { bus } = await runThrough(records, { mapper, ...options });
  return asText(bus.published.map((one) => one.publication));
};

test("pipeline - property: two runs over the same records give the same bytes", async () => {
  await fc.assert(
    fc.asyncProperty(history, async (records) => {
      expect(await publicationsOf(records)).toEqual(await publicationsOf(records));
    }),
    { numRuns: 30 },
  );
});

test("pipeline - property: numbers and content never depend on who listens", async () => {
  await fc.assert(
    fc.asyncProperty(history, fc.integer({ min: 2, max: 7 }), async (records, every) => {
      let asked = 0;
      const full = new Set(await publicationsOf(records));
      const some = await publicationsOf(records, { wants: () => ++asked % every === 0 });
      for (const one of some) expect(full.has(one)).toBe(true);
    }),
    { numRuns: 30 },
  );
});
