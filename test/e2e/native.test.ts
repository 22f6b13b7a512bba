/** The native dialect from end to end: every command, and chains that stay exact through all of them. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Frame } from "../lib/frame-socket.ts";
import type { NativeClient } from "../lib/native-client.ts";
import type { NativeStream, Push } from "../lib/native-stream.ts";
import { PlainBook, type PlainLevel } from "../lib/plain-book.ts";
import { PATIENT, startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const DEPTH = "btcusdt@depth";
const TRADE = "btcusdt@trade";

let node: TestNode;
/** Follows in real time from the start: what the others are compared with. */
let reference: NativeClient;

beforeAll(async () => {
  node = await startTestNode({ simRate: "1000", seed: "11", config: PATIENT });
  reference = await node.native();
  await reference.subscribe([DEPTH, TRADE]);
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

const depthOf = (push: Push) => push.data as { bids: PlainLevel[]; asks: PlainLevel[] };

/** The reference's book as it was at `seq`. */
async function bookAt(seq: number): Promise<ReturnType<PlainBook["depth"]>> {
  await reference.reaches(DEPTH, seq);
  const book = new PlainBook();
  for (const push of reference.stream(DEPTH).pushes) {
    if ((push.seq ?? 0) > seq) break;
    if (push.type === "snapshot") book.clear();
    book.apply(depthOf(push).bids, depthOf(push).asks);
  }
  return book.depth();
}

/** Ids of the trades with `after < seq <= to`, as the reference got them. */
async function tradesBetween(after: number, to: number): Promise<unknown[]> {
  await reference.reaches(TRADE, to);
  const pushes = reference.stream(TRADE).pushes.filter(({ seq = 0 }) => seq > after && seq <= to);
  return pushes.flatMap(({ data }) => (data as Frame[]).map(({ id }) => id));
}

const more = (stream: NativeStream, pushes: number): Promise<void> => {
  const before = stream.pushes.length;
  return waitFor(() => stream.pushes.length >= before + pushes, `${pushes} more pushes of ${stream.asked}`);
};

test.concurrent("native - one command subscribes several kinds; the unknown ones come back as errors", async () => {
  const client = await node.native();
  const known = ["trade", "aggTrade", "depth", "depth5", "bookTicker", "ticker", "miniTicker", "kline_1m", "kline_1M"];
  const names = [...known.map((stream) => `ethusdt@${stream}`), "usdm:ethusdt@markPrice", "usdm:ethusdt@depth"];
  const bad = ["ethusdt@nothing", "nothing@trade", "nothing"];
  const reply = await client.subscribe([...names, ...bad]);
  expect(reply.ok).toBe(true);
  expect(Object.keys(reply.channels).sort()).toEqual(names.toSorted());
  for (const [name, outcome] of Object.entries(reply.channels)) {
    // Comes once a second: it may have had no data yet.
    if (name.endsWith("@markPrice") && outcome.seq === null) continue;
    expect(outcome).toMatchObject({ cadence: 0, recovered: false });
    expect(outcome.epoch).not.toBe("");
    expect(String(outcome.seq)).toMatch(/^\d{13,14}$/);
  }
  expect(reply.errors?.map(({ channel, code }) => [channel, code]).sort()).toEqual(
    bad.map((channel) => [channel, 1203] as [string, number]).sort(),
  );
  for (const name of names) await waitFor(() => client.stream(name).pushes.length > 0, `a push of ${name}`);
  await waitFor(() => client.stream("ethusdt@trade").items.length > 2, "trades");
  expect(client.faults).toEqual([]);
  const { data } = client.stream("ethusdt@kline_1M").pushes[0]!;
  expect((data as Frame[]).at(-1)).toMatchObject({ interval: "1M", partial: true, closed: false });
});

test.concurrent("native - subscribing twice is one stream and one snapshot; unsubscribing ends it, also twice", async () => {
  const client = await node.native();
  await client.subscribe([DEPTH, TRADE]);
  await more(client.stream(TRADE), 2);
  const again = await client.subscribe([DEPTH, TRADE, DEPTH]);
  expect(again.ok).toBe(true);
  expect(Object.keys(again.channels).sort()).toEqual([DEPTH, TRADE]);
  await more(client.stream(TRADE), 5);
  await more(client.stream(DEPTH), 5);
  // A second stream would show as items and deltas that come twice.
  expect(client.faults).toEqual([]);
  const { pushes, overlaps } = client.stream(DEPTH);
  expect(overlaps).toBe(0);
  expect(pushes.filter(({ type }) => type === "snapshot")).toHaveLength(1);

  for (let time = 0; time < 2; time++) {
    expect(await client.ask({ op: "unsubscribe", channels: [DEPTH] })).toMatchObject({ ok: true, channels: [DEPTH] });
  }
  const count = pushes.length;
  await more(client.stream(TRADE), 5);
  expect(pushes).toHaveLength(count);
  expect(await client.ask({ op: "subscriptions" })).toMatchObject({ ok: true, channels: { [TRADE]: { cadence: 0 } } });
});

test.concurrent("native - subscriptions and ping answer under the client's id, whatever JSON value it is", async () => {
  const client = await node.native();
  await client.subscribe([DEPTH], { cadence: 100 });
  const { channels } = (await client.ask({ op: "subscriptions" })) as { channels: Record<string, Frame> };
  expect(Object.keys(channels)).toEqual([DEPTH]);
  expect(Object.keys(channels[DEPTH] ?? {})).toEqual(["epoch", "seq", "cadence"]);
  expect(channels[DEPTH]?.cadence).toBe(100);
  for (const id of ["a", 1.5, -7, true, null, 'quote"and\\']) {
    client.send({ id, op: "ping" });
    await waitFor(() => client.others.some((frame) => frame.op === "pong" && frame.id === id), `pong ${id}`);
  }
  client.send({ op: "ping" });
  await waitFor(() => client.others.some((frame) => frame.op === "pong" && !("id" in frame)), "pong without an id");
});

test.concurrent("native - resync brings a fresh snapshot and the chain goes on", async () => {
  const client = await node.native();
  await client.subscribe([DEPTH]);
  const stream = client.stream(DEPTH);
  await more(stream, 5);
  const reply = (await client.ask({ op: "resync", channel: DEPTH })) as unknown as {
    ok: boolean;
    channels: Record<string, { seq: number; epoch: string; recovered: boolean }>;
  };
  expect(reply).toMatchObject({ ok: true, channels: { [DEPTH]: { recovered: false, epoch: stream.epoch } } });
  await waitFor(() => stream.pushes.filter(({ type }) => type === "snapshot").length === 2, "a second snapshot");
  const fresh = stream.pushes.findLast(({ type }) => type === "snapshot")!;
  expect(fresh.seq).toBe(reply.channels[DEPTH]?.seq ?? -1);
  expect(fresh.prev).toBeUndefined();
  expect(depthOf(fresh) as unknown).toEqual(await bookAt(fresh.seq ?? -1));
  await more(stream, 5);
  expect(client.faults).toEqual([]);
  expect(await client.ask({ op: "resync", channel: TRADE })).toMatchObject({ error: { code: 1202, channel: TRADE } });
});

test.concurrent("native - changes of cadence leave every chain exact, and each is pushed when it happened", async () => {
  const client = await node.native();
  await client.subscribe([DEPTH, TRADE]);
  const depth = client.stream(DEPTH);
  const steps: [ask: number, rung: number][] = [
    [100, 100],
    [200, 250],
    [1, 50],
    [0, 0],
  ];
  for (const [ms, rung] of steps) {
    await more(depth, 3);
    for (const channel of [DEPTH, TRADE]) {
      const reply = await client.ask({ op: "cadence", channel, ms });
      expect(reply).toMatchObject({ ok: true, channel, cadence: rung });
      const last = () => client.stream(channel).notices.at(-1);
      await waitFor(() => last()?.ms === rung, `${channel} moves to ${rung}`);
      expect(last()).toEqual({ channel, type: "cadence", ms: rung, reason: "client" });
    }
  }
  await more(depth, 3);
  let have = depth.pushes[0]?.seq;
  let merged = 0;
  let ms = 0;
  for (const push of depth.pushes.slice(1)) {
    if (push.type === "cadence") {
      ms = push.ms as number;
      continue;
    }
    expect(push.prev).toBe(have ?? -1);
    if (ms >= 50 && (push.from ?? 0) < (push.seq ?? 0)) merged++;
    have = push.seq;
  }
  expect(merged).toBeGreaterThan(0);
  expect(client.faults).toEqual([]);
  const seq = depth.have ?? -1;
  const book = depth.book.depth();
  expect(book).toEqual(await bookAt(seq));
  const trades = client.stream(TRADE);
  const first = trades.pushes.find(({ type }) => type === "items")?.prev ?? -1;
  const end = trades.have ?? -1;
  const ids = trades.items.map(({ id }) => id);
  expect(ids).toEqual(await tradesBetween(first, end));
  expect(await client.ask({ op: "cadence", channel: DEPTH, ms: 3001 })).toMatchObject({ error: { code: 1005 } });
});

test.concurrent("native - every rung's book and trades are those of real time at the same seq", async () => {
  await Promise.all(
    [50, 100, 250, 500, 1000].map(async (cadence) => {
      const client = await node.native();
      await client.subscribe([DEPTH, TRADE], { cadence });
      await Promise.all([more(client.stream(DEPTH), 3), more(client.stream(TRADE), 2)]);
      const [depth, trade] = [client.stream(DEPTH), client.stream(TRADE)];
      const { have } = depth;
      const book = depth.book.depth();
      const ids = trade.items.map(({ id }) => id);
      const [after, to] = [trade.pushes[0]?.prev ?? -1, trade.have ?? -1];
      expect(book).toEqual(await bookAt(have ?? -1));
      expect(ids).toEqual(await tradesBetween(after, to));
      expect(client.faults).toEqual([]);
    }),
  );
});

test.concurrent("native - since within the epoch brings exactly what was missed", async () => {
  const before = await node.native();
  await before.subscribe([DEPTH, TRADE]);
  await Promise.all([more(before.stream(DEPTH), 5), more(before.stream(TRADE), 2)]);
  before.close();
  await before.untilClosed();
  const [depth, trade] = [before.stream(DEPTH), before.stream(TRADE)];
  const positions = { depth: depth.have ?? -1, trade: trade.have ?? -1 };
  await Promise.all([more(reference.stream(DEPTH), 5), more(reference.stream(TRADE), 5)]);

  for (const cadence of [0, 250]) {
    const after = await node.native();
    const epoch = depth.epoch ?? "";
    const since = { [DEPTH]: { epoch, seq: positions.depth }, [TRADE]: { epoch, seq: positions.trade } };
    const reply = await after.subscribe([DEPTH, TRADE], { since, cadence });
    expect(reply.channels[DEPTH]?.recovered).toBe(true);
    expect(reply.channels[TRADE]?.recovered).toBe(true);
    await Promise.all([more(after.stream(DEPTH), 2), more(after.stream(TRADE), 2)]);
    const items = after.stream(TRADE);
    expect(items.pushes[0]).toMatchObject({ type: "items", prev: positions.trade });
    const [ids, end] = [items.items.map(({ id }) => id), items.have ?? -1];
    expect(ids).toEqual(await tradesBetween(positions.trade, end));

    const deltas = after.stream(DEPTH).pushes;
    expect(deltas[0]).toMatchObject({ type: "delta", prev: positions.depth });
    const book = new PlainBook();
    const old = await bookAt(positions.depth);
    book.apply(old.bids, old.asks);
    const last = deltas.at(-1)?.seq ?? -1;
    for (const push of deltas) book.apply(depthOf(push).bids, depthOf(push).asks);
    expect(book.depth()).toEqual(await bookAt(last));
    expect(after.faults).toEqual([]);
  }
});

test.concurrent("native - since of another epoch, and one older than history: told, then what exists", async () => {
  const client = await node.native();
  const now = reference.stream(TRADE);
  const seq = now.have ?? -1;
  const lost = await client.subscribe([DEPTH, TRADE], {
    since: { [DEPTH]: { epoch: "gone", seq: seq - 1e6 }, [TRADE]: { epoch: "gone", seq: seq - 1e6 } },
  });
  expect(lost.channels[DEPTH]).toMatchObject({ recovered: false, epoch: now.epoch });
  expect(lost.channels[TRADE]).toMatchObject({ recovered: false, epoch: now.epoch });
  await Promise.all([more(client.stream(DEPTH), 2), more(client.stream(TRADE), 2)]);
  expect(client.stream(DEPTH).pushes[0]).toMatchObject({ type: "snapshot", epoch: now.epoch });
  expect(client.stream(TRADE).pushes[0]).toMatchObject({
    type: "gap",
    missed: null,
    reason: "epoch",
    epoch: now.epoch,
  });
  expect(client.faults).toEqual([]);

  const { base } = node.node.parts.shards[0]!.status();
  const old = await node.native();
  const since = { [TRADE]: { epoch: now.epoch ?? "", seq: base + 1 } };
  const reply = await old.subscribe([TRADE], { since });
  expect(reply.channels[TRADE]?.recovered).toBe(false);
  await more(old.stream(TRADE), 2);
  const [gap, items] = old.stream(TRADE).pushes;
  expect(gap).toMatchObject({ type: "gap", reason: "history", from: base + 2 });
  expect(items).toMatchObject({ type: "items", prev: gap?.to ?? -1 });
  expect(old.faults).toEqual([]);
});

test.concurrent("native - one session may have 1,024 subscriptions; one more is refused by name", async () => {
  await using wide = await startTestNode({ synthetic: "channels=1100,rate=1,size=200" });
  const client = await wide.native();
  const names = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => `c${from + at}`);
  expect((await client.subscribe(names(0, 1000), { cadence: 1000 })).errors).toBeUndefined();
  const reply = await client.subscribe([...names(0, 10), ...names(1000, 1025)], { cadence: 1000 });
  expect(Object.keys(reply.channels)).toHaveLength(10 + 24);
  expect(reply.errors).toMatchObject([{ channel: "c1024", code: 1301 }]);
  await client.unsubscribe(["c0"]);
  expect(await client.subscribe(["c1024"])).toMatchObject({ ok: true });
  expect(await client.ask({ op: "subscribe", channels: names(0, 1025) })).toMatchObject({ error: { code: 1301 } });
  for (const name of names(1, 1024)) await waitFor(() => client.stream(name).pushes.length > 0, `a push of ${name}`);
  expect(client.faults).toEqual([]);
});

test("native - the reference that followed all the while has unbroken chains", () => {
  expect(reference.closed).toBeNull();
  expect(reference.faults).toEqual([]);
  expect(reference.stream(DEPTH).notices).toEqual([]);
});

test.concurrent("native - instrument tells what is added or changes, and goes on where a client stopped", async () => {
  await using node = await startTestNode({ synthetic: "channels=1,rate=1,size=200" });
  const { registry } = node.node.parts;
  registry.learn("spot", "NEWUSDT");
  const client = await node.native();
  const { channels } = await client.subscribe(["instrument"]);
  expect(channels).toMatchObject({ instrument: { seq: null, recovered: false } });
  const stream = client.stream("instrument");
  const items = () => stream.pushes.flatMap(({ data }) => data as Frame[]);
  registry.update("spot", "newusdt", { status: "halt" });
  await waitFor(() => items().length === 1, "the change is told");
  expect(items()[0]).toMatchObject({ market: "spot", symbol: "newusdt", base: "NEW", quote: "USDT", status: "halt" });
  const { epoch, seq } = stream.pushes[0] as { epoch: string; seq: number };
  registry.update("spot", "newusdt", { status: "trading" });
  await waitFor(() => items().length === 2, "and the next one");
  // The first client keeps the channel, and so its numbering, alive.
  const late = await node.native();
  const again = await late.subscribe(["instrument"], { since: { instrument: { epoch, seq } } });
  expect(again.channels).toMatchObject({ instrument: { epoch, recovered: true } });
  await waitFor(() => late.stream("instrument").pushes.length === 1, "what was missed comes");
  expect(late.stream("instrument").pushes[0]).toMatchObject({ prev: seq, data: [{ status: "trading" }] });
});
