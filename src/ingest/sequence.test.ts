import { expect, test } from "bun:test";
import type { Malformed, MappedUpdate } from "./mapper/mapper.ts";
import {
  data,
  delta,
  recordsOf,
  runThrough,
  type Step,
  snapshot,
  trade,
  trades,
  updatesMapper,
} from "./testing/rig.ts";

const T = 1_767_225_600_000;
const one = (price: string): { bids: [string, string][] } => ({ bids: [[price, "1"]] });
const numbered = (update: MappedUpdate, prev: number | null, last: number, strict = false): MappedUpdate => ({
  ...update,
  sequence: { prev, last },
  strict,
});
const said = (publications: readonly { type: string; data: unknown }[]) =>
  publications.map(({ type, data }) => (type === "stale" || type === "gap" ? [type, data] : [type]));

async function book(...steps: (MappedUpdate | "lost")[]) {
  const records = steps.map((step): Step => (step === "lost" ? { type: "lost" } : data(step)));
  const { bus, shard, source } = await runThrough(recordsOf(records), { replayable: false });
  const last = bus.of("btcusdt@depth").findLast(({ type }) => type === "snapshot");
  return { said: said(bus.of("btcusdt@depth")), status: shard.status(), source, last };
}

test("sequence - a delta continues the book, an older one is left out, a jump makes it stale until a snapshot", async () => {
  const { said, status, source } = await book(
    numbered(snapshot(T, one("1")), null, 10),
    numbered(delta(T, one("2")), 8, 10),
    numbered(delta(T, one("3")), 9, 12),
    numbered(delta(T, one("4")), 12, 15),
    numbered(delta(T, one("5")), 16, 17),
    numbered(delta(T, one("6")), 17, 18),
    numbered(snapshot(T, one("1")), null, 18),
    numbered(delta(T, one("7")), 18, 19),
  );
  expect(said).toEqual([["snapshot"], ["delta"], ["delta"], ["stale", "sequence"], ["snapshot"], ["delta"]]);
  expect(status).toMatchObject({ ignoredDeltas: 2, resyncs: { sequence: 1 } });
  expect(source.resyncs).toEqual(["btcusdt@depth"]);
});

test("sequence - numbers may fall where the chain holds, and an equal one continues", async () => {
  const { said } = await book(
    numbered(snapshot(T, one("1")), null, 10),
    numbered(delta(T, one("2")), 10, 3),
    numbered(delta(T, one("3")), 3, 3),
    numbered(delta(T, one("4")), 3, 4),
  );
  expect(said).toEqual([["snapshot"], ["delta"], ["delta"], ["delta"]]);
});

test("sequence - where numbers only rise, one that falls is a fault; an old snapshot does not turn the book back", async () => {
  const { said, status } = await book(
    numbered(snapshot(T, one("1")), null, 10),
    numbered(delta(T, one("2")), null, 12),
    numbered(snapshot(T, one("1")), null, 10),
    numbered(delta(T, one("3")), null, 12),
    numbered(delta(T, one("4")), null, 11),
  );
  expect(said).toEqual([["snapshot"], ["delta"], ["delta"], ["stale", "sequence"]]);
  expect(status.ignoredDeltas).toBe(1);
});

test("sequence - a strict source with a broken order is trusted again only after a new connection", async () => {
  const strict = (update: MappedUpdate): MappedUpdate => ({ ...update, strict: true });
  const first = await book(strict(delta(T, one("1"))), strict(snapshot(T, one("2"))), strict(delta(T, one("3"))));
  expect(first.said).toEqual([]);
  expect(first.source.resyncs).toEqual(["btcusdt@depth"]);
  const second = await book(
    strict(snapshot(T, one("1"))),
    strict(snapshot(T, one("2"))),
    strict(snapshot(T, one("3"))),
    "lost",
    strict(snapshot(T, one("4"))),
  );
  expect(second.said).toEqual([["snapshot"], ["stale", "sequence"], ["snapshot"]]);
  expect(second.last?.data).toEqual({ bids: [["4", "1"]], asks: [] });
});

test("sequence - a strict book whose first snapshot was lost begins with that of the next connection", async () => {
  const strict = (update: MappedUpdate): MappedUpdate => ({ ...update, strict: true });
  const { said } = await book(
    strict(delta(T, one("2"))),
    strict(snapshot(T, one("1"))),
    "lost",
    strict(snapshot(T, one("3"))),
    strict(delta(T, one("4"))),
  );
  expect(said).toEqual([["snapshot"], ["delta"]]);
});

test("sequence - a record that may hide a change of any book makes all stale, if they can be asked for again", async () => {
  const mapper = { ...updatesMapper(), map: (value: unknown) => suspecting(value) };
  const records = recordsOf([data(snapshot(T, one("1"))), { type: "data", value: "garbage" }]);
  const { bus, source } = await runThrough(records, { mapper, replayable: false });
  expect(said(bus.of("btcusdt@depth"))).toEqual([["snapshot"], ["stale", "sequence"]]);
  expect(source.resyncs).toEqual(["btcusdt@depth"]);
});

test("sequence - a record that nobody can read is a gap where no number of a later trade would show what was lost", async () => {
  const mapper = { ...updatesMapper(), map: (value: unknown) => suspecting(value) };
  const garbage: Step = { type: "data", value: "garbage" };
  const gaps = async (...before: MappedUpdate[]) => {
    const records = recordsOf([
      ...before.map((update) => data(update)),
      garbage,
      ...before.map((update) => data(update)),
    ]);
    const { bus } = await runThrough(records, { mapper, replayable: false });
    return (["trade", "aggTrade"] as const).map((stream) => said(bus.of(`btcusdt@${stream}`)).slice(0, 3));
  };
  const gap = ["gap", { missed: null, reason: "source" }];
  const told = [["items"], gap, ["items"]];
  expect(await gaps(trades([trade(T, "1", "1", { id: "x", t: -1 })]))).toEqual([told, told]);
  expect(await gaps(numberedTrade(5, null))).toEqual([told.slice(0, 2), told.slice(0, 2)]);
  expect(await gaps(numberedTrade(5))).toEqual([[["items"]], [["items"]]]);
});

test("sequence - an item that cannot be used is a gap of its channel alone, unless the next one shows it", async () => {
  const mapper = { ...updatesMapper(), map: (value: unknown) => suspecting(value, { misses: "btcusdt@trade" }) };
  const bad: Step = { type: "data", value: "garbage" };
  const before = data(trades([trade(T, "1", "1", { t: -1 })]), snapshot(T, one("1")));
  const { bus } = await runThrough(recordsOf([bad, before, bad]), { mapper, replayable: false });
  expect(said(bus.of("btcusdt@trade"))).toEqual([["items"], ["gap", { missed: null, reason: "source" }]]);
  expect(said(bus.of("btcusdt@depth"))).toEqual([["snapshot"]]);
  const dense = await runThrough(recordsOf([data(numberedTrade(5)), bad]), { mapper, replayable: false });
  expect(said(dense.bus.of("btcusdt@trade"))).toEqual([["items"]]);
});

test("sequence - aggTrades made of trades miss what these miss, and say so", async () => {
  const { bus } = await runThrough(recordsOf([5, 8, 9].map((t) => data(numberedTrade(t)))));
  expect(said(bus.of("btcusdt@aggTrade"))).toEqual([["items"], ["gap", { missed: null, reason: "source" }], ["items"]]);
});

const suspecting = (value: unknown, loss: Pick<Malformed, "suspect" | "misses"> = { suspect: true }) =>
  Array.isArray(value) ? (value as MappedUpdate[]) : { malformed: "garbage", ...loss };

const numberedTrade = (t: number, prev: number | null = t - 1): MappedUpdate =>
  numbered(trades([trade(T + t, "1", "1", { t })]), prev, t);

test("sequence - trades: none twice, a jump is a gap, and the trade behind it follows with the next record", async () => {
  const steps = [
    data(numberedTrade(5)),
    data(numberedTrade(5)),
    data(numberedTrade(8)),
    data(snapshot(T, one("1"))),
    data(numberedTrade(7)),
    data(numberedTrade(9)),
    data(numberedTrade(12)),
    data(numberedTrade(13)),
  ];
  const { bus, shard } = await runThrough(recordsOf(steps));
  const publications = bus.of("btcusdt@trade");
  expect(publications.map(({ type, data }) => [type, ids(data)])).toEqual([
    ["items", [5]],
    ["gap", 2],
    ["items", [8]],
    ["items", [9]],
    ["gap", 2],
    ["items", [12, 13]],
  ]);
  expect(publications.every((one, i) => one.prev === (publications[i - 1]?.seq ?? null))).toBe(true);
  expect(shard.status().malformed).toEqual({ repeated: 2 });
});

const ids = (value: unknown): unknown =>
  Array.isArray(value) ? value.map((item: { t: number }) => item.t) : (value as { missed: number }).missed;

test("sequence - trades: what a lost connection has told is not told again, and nothing comes twice", async () => {
  const steps: Step[] = [data(numberedTrade(5)), { type: "lost" }, data(numberedTrade(5)), data(numberedTrade(9))];
  const { bus } = await runThrough(recordsOf(steps));
  expect(bus.of("btcusdt@trade").map(({ type, data }) => [type, ids(data)])).toEqual([
    ["items", [5]],
    ["gap", null],
    ["items", [9]],
  ]);
});

test("sequence - trades that only rise: a jump is no gap", async () => {
  const { bus } = await runThrough(recordsOf([5, 9, 9, 10].map((t) => data(numberedTrade(t, null)))));
  expect(bus.of("btcusdt@trade").map(({ type, data }) => [type, ids(data)])).toEqual([
    ["items", [5]],
    ["items", [9]],
    ["items", [10]],
  ]);
});

test("time - an update without one has that of the newest that had one", async () => {
  const { bus } = await runThrough(recordsOf([data(numberedTrade(5)), data(snapshot(0, one("1")))]));
  expect(bus.of("btcusdt@depth")[0]?.time).toBe(T + 5);
});
