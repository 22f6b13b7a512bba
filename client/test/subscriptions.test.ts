/** Subscriptions: what is sent for them, and what they say and hold. */
import { expect, spyOn, test } from "bun:test";
import type { TidegateError } from "../src/mod.ts";
import { DEPTH, delta, gap, items, reply, Stage, snapshot, TRADE, value } from "./stage.ts";

/** Connected, with these channels subscribed and running at seq 10. */
async function running(...channels: string[]): Promise<Stage> {
  const on = new Stage();
  on.socket.opens();
  for (const channel of channels) on.client.subscribe(channel);
  const { last } = await on.flush();
  on.socket.says(reply(last.id, Object.fromEntries(channels.map((channel) => [channel, 10]))));
  on.news();
  return on;
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no error",
    (error: TidegateError) => error.code,
  );

// --- commands -----------------------------------------------------------------------------------------------------------

test("client subscriptions - what is asked in one turn goes in one command, by cadence", async () => {
  const on = new Stage({ cadence: 100 });
  on.client.subscribe(TRADE);
  on.client.subscribe(DEPTH, { cadence: 500 });
  on.socket.opens();
  on.client.subscribe("b@ticker");
  on.client.subscribe("c@depth", { cadence: 500 });
  const { commands } = await on.flush();
  expect(commands).toEqual([
    { id: 1, op: "subscribe", channels: [TRADE], cadence: 100 },
    { id: 2, op: "subscribe", channels: [DEPTH], cadence: 500 },
    { id: 3, op: "subscribe", channels: ["b@ticker"], cadence: 100 },
    { id: 4, op: "subscribe", channels: ["c@depth"], cadence: 500 },
  ]);
});

test("client subscriptions - commands stay within a frame, and within what a node takes per second", async () => {
  const on = new Stage();
  const names = Array.from({ length: 3000 }, (_, at) => `${"x".repeat(100)}${at}@trade`);
  for (const name of names) on.client.subscribe(name);
  on.socket.opens();
  const { commands } = await on.flush();
  expect(commands.flatMap(({ channels }) => channels)).toEqual(names);
  for (const command of commands) expect(JSON.stringify(command).length).toBeLessThan(40_000);
  const on2 = new Stage();
  for (let at = 0; at < 200; at++) on2.client.subscribe(`${at}@ticker`, { cadence: at });
  on2.socket.opens();
  expect((await on2.flush()).commands).toHaveLength(50);
  await on2.clock.advance(1000);
  expect(on2.socket.commands).toHaveLength(75);
  await on2.clock.advance(5000);
  expect(on2.socket.commands).toHaveLength(200);
  expect(new Set(on2.socket.commands.map(({ cadence }) => cadence)).size).toBe(200);
});

test("client subscriptions - the same name is the same subscription; its cadence can be changed", async () => {
  const on = await running(DEPTH);
  const depth = on.client.subscribe(DEPTH);
  expect(on.client.subscribe(DEPTH, { cadence: 200 })).toBe(depth);
  await on.flush();
  expect(on.socket.last).toEqual({ id: 2, op: "cadence", channel: DEPTH, ms: 200 });
  const changed = depth.setCadence(300);
  on.socket.says({ id: 2, ok: true, channel: DEPTH, cadence: 250 });
  expect(depth.cadence).toBe(250);
  await on.flush();
  on.socket.says({ id: 3, ok: true, channel: DEPTH, cadence: 500 });
  expect(await changed).toBe(500);
  on.socket.says({ channel: DEPTH, type: "cadence", ms: 1000, reason: "slow" });
  expect(on.news()).toEqual([`${DEPTH} cadence`, `${DEPTH} cadence 1000 slow`]);
  expect(depth.cadence).toBe(1000);
  // After a reconnect what was wanted is asked for, not what the node made of it.
  on.socket.ends(1006);
  await on.clock.advance(1000);
  on.socket.opens();
  expect(on.socket.last).toMatchObject({ op: "subscribe", cadence: 300 });
  expect(await codeOf(on.client.setCadence("none", 1))).toBe("CLOSED");
  expect(await codeOf(depth.setCadence(4000))).toBe("BAD_OPTION");
});

test("client subscriptions - a cadence that the node refuses is told to who asked, and the old one stays", async () => {
  const on = await running(DEPTH);
  const depth = on.client.subscribe(DEPTH);
  const refused = codeOf(depth.setCadence(50));
  await on.flush();
  on.socket.says({ id: 2, error: { code: 1005, message: "too fast for this topic", channel: DEPTH } });
  expect(await refused).toBe(1005);
  expect(on.news()).toEqual([]);
  // Asked for in passing: nobody waits for the answer, but it is not lost.
  on.client.subscribe(DEPTH, { cadence: 50 });
  await on.flush();
  const error = { code: 1005, message: "too fast for this topic", channel: DEPTH };
  on.socket.says({ id: 3, error });
  expect(on.news()).toEqual([`odd ${JSON.stringify({ id: 3, error })}`]);
  on.socket.ends(1006);
  await on.clock.advance(1000);
  on.socket.opens();
  expect(on.socket.last).not.toHaveProperty("cadence");
});

test("client subscriptions - unsubscribing ends it at once, whatever is still on its way", async () => {
  const on = await running(TRADE);
  const trades = on.client.subscribe(TRADE);
  const seen: unknown[] = [];
  trades.on("push", ({ push }) => seen.push(push));
  on.socket.says(items(10, 11));
  trades.unsubscribe();
  on.socket.says(items(11, 12));
  expect([trades.state, seen.length, on.client.subscriptions.size]).toEqual(["ended", 1, 0]);
  // The new one of the same name begins behind the end of the old one.
  const again = on.client.subscribe(TRADE);
  const { commands } = await on.flush();
  expect(commands.slice(1)).toEqual([
    { id: 2, op: "unsubscribe", channels: [TRADE] },
    { id: 3, op: "subscribe", channels: [TRADE] },
  ]);
  on.socket.says(items(12, 13), { id: 2, ok: true, channels: [TRADE] }, reply(3, { [TRADE]: 20 }), items(20, 21));
  expect(again.position).toEqual({ epoch: "k1", seq: 21 });
  expect(on.news()).toEqual([`${TRADE} items 11`, `${TRADE} running 20`, `${TRADE} fresh`, `${TRADE} items 21`]);
  trades.unsubscribe();
  on.client.unsubscribe("never@was");
  expect((await on.flush()).commands).toHaveLength(3);
});

// --- refusals -----------------------------------------------------------------------------------------------------------

test("client subscriptions - a refusal is told wherever one listens, and final", async () => {
  const on = new Stage();
  on.socket.opens();
  const bad = on.client.subscribe("foo@bar");
  on.client.subscribe(TRADE);
  const { ready } = bad;
  const loop = bad[Symbol.asyncIterator]().next();
  await on.flush();
  on.socket.says({
    ...reply(1, { [TRADE]: 1 }),
    errors: [{ channel: "foo@bar", code: 1203, message: "unknown channel" }],
  });
  expect(on.news()).toEqual(["connected", "foo@bar refused 1203", `${TRADE} running 1`, `${TRADE} fresh`]);
  expect([await codeOf(ready), await codeOf(loop), await codeOf(bad.ready)]).toEqual([1203, 1203, 1203]);
  expect(bad.state).toBe("refused");
  expect(await ready.catch(({ message }: Error) => message)).toBe("foo@bar: unknown channel (1203)");
  on.socket.ends(1006);
  await on.clock.advance(1000);
  on.socket.opens();
  expect(on.socket.commands).toMatchObject([{ channels: [TRADE] }]);
});

test("client subscriptions - a refusal that nobody asked about is not silent", async () => {
  const on = new Stage();
  const told = spyOn(console, "error").mockImplementation(() => undefined);
  try {
    on.socket.opens();
    // The stage listens to everything: a client of its own, where nobody does.
    const { connect } = await import("../src/mod.ts");
    const { FakeSocket } = await import("./stage.ts");
    const sockets: InstanceType<typeof FakeSocket>[] = [];
    const Socket = class extends FakeSocket {
      constructor(url: string) {
        super(url);
        sockets.push(this);
      }
    };
    const client = connect("ws://node", { WebSocket: Socket, clock: on.clock });
    const [asked, unasked] = [client.subscribe("a@b"), client.subscribe("c@d")];
    sockets[0]?.opens();
    const refusal = { code: 1203, message: "unknown channel" };
    sockets[0]?.says({
      id: 1,
      ok: false,
      channels: {},
      errors: ["a@b", "c@d"].map((channel) => ({ channel, ...refusal })),
    });
    expect(await codeOf(asked.ready)).toBe(1203);
    await on.clock.advance(1000);
    expect(told.mock.calls).toEqual([["TidegateError: c@d: unknown channel (1203)"]]);
    expect(unasked.state).toBe("refused");
    client.close();
  } finally {
    told.mockRestore();
  }
});

test("client subscriptions - what passes is asked again: an owner that is away, too many commands, a name known before", async () => {
  const on = new Stage();
  on.client.subscribe(TRADE);
  on.socket.opens();
  on.socket.says({
    ...{ id: 1, ok: false, channels: {} },
    errors: [{ channel: TRADE, code: 1501, message: "the channel's owner does not answer" }],
  });
  expect(on.news()).toEqual(["connected", `${TRADE} delayed 1501 200`]);
  await on.clock.advance(199);
  expect(on.socket.commands).toHaveLength(1);
  await on.clock.advance(1);
  expect(on.socket.commands).toHaveLength(2);
  on.socket.says({ id: 2, error: { code: 1302, message: "too many commands" } });
  expect(on.news()).toEqual([`${TRADE} delayed 1302 400`]);
  // Nothing goes out for a second, whatever is asked.
  on.client.subscribe(DEPTH);
  await on.clock.advance(999);
  expect(on.socket.commands).toHaveLength(2);
  await on.clock.advance(50);
  expect(on.socket.last).toMatchObject({ id: 3, channels: [TRADE, DEPTH] });
  on.socket.says(reply(3, { [TRADE]: 5, [DEPTH]: null }));
  on.socket.ends(1012);
  await on.clock.advance(1000);
  on.socket.opens();
  on.news();
  // A node that has just begun may not know the instruments yet.
  on.socket.says({
    id: 1,
    ok: false,
    channels: {},
    errors: [{ channel: TRADE, code: 1203, message: "unknown channel" }],
  });
  expect(on.news()).toEqual([`${TRADE} delayed 1203 200`]);
  expect(on.client.subscriptions.get(TRADE)?.state).toBe("stale");
});

// --- chains -------------------------------------------------------------------------------------------------------------

test("client subscriptions - a book: waiting, fresh, broken, mended, stale, fresh", async () => {
  const on = await running(DEPTH);
  const depth = on.client.subscribe(DEPTH);
  expect(depth.state).toBe("waiting");
  on.socket.says(snapshot(10, [["1", "1"]], [["2", "1"]]), delta(10, 11, [["1.5", "2"]]));
  expect(depth.book.depth()).toEqual({ bids: [["1.5", "2"], ["1", "1"]], asks: [["2", "1"]] }); // biome-ignore format: one book
  expect(on.news()).toEqual([`${DEPTH} snapshot 10`, `${DEPTH} fresh`, `${DEPTH} delta 11`]);
  on.socket.says(delta(12, 13), delta(13, 14));
  expect(depth.state).toBe("stale");
  await on.clock.advance(0);
  expect(on.socket.last).toEqual({ id: 2, op: "resync", channel: DEPTH });
  on.socket.says(reply(2, { [DEPTH]: 15 }), snapshot(15, [["1", "3"]]), delta(15, 16));
  expect(on.news()).toEqual([
    `${DEPTH} broken chain`,
    `${DEPTH} stale chain`,
    `${DEPTH} snapshot 15`,
    `${DEPTH} fresh`,
    `${DEPTH} delta 16`,
  ]);
  on.socket.says({ channel: DEPTH, type: "stale" }, delta(16, 17), snapshot(20, [["1", "9"]], [], { prev: 17 }));
  expect(on.news()).toEqual([
    `${DEPTH} stale`,
    `${DEPTH} stale source`,
    `${DEPTH} delta 17`,
    `${DEPTH} snapshot 20`,
    `${DEPTH} fresh`,
  ]);
  expect(depth.book.bids()).toEqual([["1", "9"]]);
});

test("client subscriptions - items are asked for again from where they stood; what is not to be had is a gap", async () => {
  const on = await running(TRADE);
  const trades = on.client.subscribe(TRADE);
  on.socket.says(items(10, 11), items(12, 13), items(13, 14));
  expect(on.news()).toEqual([`${TRADE} items 11`, `${TRADE} broken chain`, `${TRADE} stale chain`]);
  await on.clock.advance(0);
  expect(on.socket.commands.slice(1)).toEqual([
    { id: 2, op: "unsubscribe", channels: [TRADE] },
    { id: 3, op: "subscribe", channels: [TRADE], since: { [TRADE]: { epoch: "k1", seq: 11 } } },
  ]);
  on.socket.says(items(14, 15), { id: 2, ok: true, channels: [TRADE] }, reply(3, { [TRADE]: 15 }, { recovered: true }));
  expect(trades.state).toBe("stale");
  on.socket.says(items(11, 15), items(15, 16));
  expect(on.news()).toEqual([`${TRADE} running 15`, `${TRADE} items 15`, `${TRADE} fresh`, `${TRADE} items 16`]);
  // A node that never sends what is missing: after three tries the hole is told and the stream goes on.
  let [have, id] = [16, 3];
  for (let attempt = 0; attempt < 3; attempt++) {
    have += 10;
    on.socket.says(items(have, have + 1));
    await on.clock.advance(2000);
    id += 2;
    on.socket.says({ id: id - 1, ok: true, channels: [TRADE] }, reply(id, { [TRADE]: have + 1 }));
  }
  on.news();
  on.socket.says(items(50, 51), items(51, 52));
  expect(on.news()).toEqual([
    `${TRADE} gap 17-50 null chain`,
    `${TRADE} items 51`,
    `${TRADE} fresh`,
    `${TRADE} items 52`,
  ]);
  expect(trades.position).toEqual({ epoch: "k1", seq: 52 });
});

test("client subscriptions - a new epoch starts over: told, then what there is of it", async () => {
  const on = await running(DEPTH, TRADE, "b@kline_1m");
  const depth = on.client.subscribe(DEPTH);
  on.socket.says(snapshot(10, [["1", "1"]]), items(10, 11), value(null, 10, [], "b@kline_1m"));
  on.news();
  on.socket.says(snapshot(5, [["7", "1"]], [], { epoch: "k2" }));
  expect(on.news()).toEqual([
    `${DEPTH} epoch k1 -> k2`,
    `${DEPTH} stale connection`,
    `${DEPTH} snapshot 5 restart`,
    `${DEPTH} fresh`,
  ]);
  expect(depth.book.bids()).toEqual([["7", "1"]]);
  on.socket.says(gap(12, 20, null, "epoch", { epoch: "k2" }), items(null, 21));
  expect(on.news()).toEqual([
    `${TRADE} epoch k1 -> k2`,
    `${TRADE} gap 12-20 null epoch`,
    `${TRADE} gap restart`,
    `${TRADE} items 21`,
  ]);
  // Candles have no word for it on the wire.
  on.socket.says({ ...value(null, 30, [], "b@kline_1m"), epoch: "k2" });
  expect(on.news()).toEqual([
    "b@kline_1m epoch k1 -> k2",
    "b@kline_1m gap 30-30 null epoch",
    "b@kline_1m stale connection",
    "b@kline_1m value 30 restart",
    "b@kline_1m fresh",
  ]);
});

// --- reconnects ---------------------------------------------------------------------------------------------------------

test("client subscriptions - after a reconnect each goes on from where it stood, and is fresh when it has caught up", async () => {
  const on = await running(DEPTH, TRADE, "b@ticker", "b@kline_1m", "own");
  const trades = on.client.subscribe(TRADE);
  on.socket.says(snapshot(10, [["1", "1"]]), value(9, 10, 1), value(9, 10, [], "b@kline_1m"));
  on.news();
  on.socket.ends(1006);
  expect(on.news()).toEqual([
    ...[DEPTH, TRADE, "b@ticker", "b@kline_1m"].map((name) => `${name} stale connection`),
    "lost 1006, again in 200",
  ]);
  await on.clock.advance(200);
  on.socket.opens();
  const k1 = { epoch: "k1", seq: 10 };
  // Of the trades nothing had come, and nothing may be missed; nobody knows what `own` is.
  expect(on.socket.commands).toMatchObject([
    {
      channels: [DEPTH, TRADE, "b@ticker", "b@kline_1m", "own"],
      since: { [DEPTH]: k1, [TRADE]: k1, "b@ticker": k1, "b@kline_1m": k1 },
    },
  ]);
  const { id } = on.socket.last;
  on.socket.says(items(10, 14), {
    ...reply(id, { [DEPTH]: 15, [TRADE]: 15, "b@ticker": 10 }, { recovered: true }),
    ok: true,
    channels: {
      ...(reply(id, { [DEPTH]: 15, [TRADE]: 15, "b@ticker": 10 }, { recovered: true }).channels as object),
      ...(reply(id, { "b@kline_1m": 30, own: 12 }).channels as object),
    },
  });
  expect(on.news()).toEqual([
    "connected again",
    `${TRADE} items 14`,
    `${DEPTH} running 15`,
    `${TRADE} running 15`,
    "b@ticker running 10",
    "b@ticker fresh",
    "b@kline_1m running 30",
    "b@kline_1m gap 11-30 null history",
    "own running 12",
  ]);
  on.socket.says(delta(10, 15), items(14, 15), items(12, 13, [1], "own"), value(29, 30, [], "b@kline_1m"));
  expect(on.news()).toEqual([
    `${DEPTH} delta 15`,
    `${DEPTH} fresh`,
    `${TRADE} items 15`,
    `${TRADE} fresh`,
    "own gap 11-12 null away",
    "own items 13",
    "own fresh",
    "b@kline_1m value 30",
    "b@kline_1m fresh",
  ]);
  expect(trades.position).toEqual({ epoch: "k1", seq: 15 });
});

test("client subscriptions - a reconnect into another epoch: the book is void until its snapshot", async () => {
  const on = await running(DEPTH);
  const depth = on.client.subscribe(DEPTH);
  on.socket.says(snapshot(10, [["1", "1"]]));
  on.socket.ends(1012);
  await on.clock.advance(1000);
  on.socket.opens();
  on.news();
  on.socket.says(reply(on.socket.last.id, { [DEPTH]: 3 }, { epoch: "k2" }));
  expect([depth.state, depth.book.bidCount]).toEqual(["stale", 0]);
  on.socket.says(snapshot(3, [["4", "1"]], [], { epoch: "k2" }));
  expect(on.news()).toEqual([`${DEPTH} epoch k1 -> k2`, `${DEPTH} running 3`, `${DEPTH} snapshot 3`, `${DEPTH} fresh`]);
});

test("client subscriptions - a node that has nothing of the channel yet: stale until its first push", async () => {
  const on = await running(DEPTH, TRADE);
  on.socket.says(snapshot(10, [["1", "1"]]), items(10, 11));
  on.socket.ends(1012);
  await on.clock.advance(1000);
  on.socket.opens();
  on.news();
  on.socket.says(reply(on.socket.last.id, { [DEPTH]: null, [TRADE]: null }, { epoch: "" }));
  expect(on.news()).toEqual([`${DEPTH} running null`, `${TRADE} running null`]);
  on.socket.says(snapshot(3, [["4", "1"]], [], { epoch: "k2" }), gap(12, 12, null, "epoch", { epoch: "k2" }));
  expect(on.news()).toEqual([
    `${DEPTH} epoch k1 -> k2`,
    `${DEPTH} snapshot 3 restart`,
    `${DEPTH} fresh`,
    `${TRADE} epoch k1 -> k2`,
    `${TRADE} gap 12-12 null epoch`,
    `${TRADE} gap restart`,
    `${TRADE} fresh`,
  ]);
});

test("client subscriptions - the first items of another epoch that no gap announced come behind one", async () => {
  for (const epoch of ["", "k2"]) {
    const on = await running(TRADE);
    on.socket.says(items(10, 11));
    on.socket.ends(1012);
    await on.clock.advance(1000);
    on.socket.opens();
    on.socket.says(reply(on.socket.last.id, { [TRADE]: null }, { epoch }));
    on.news();
    on.socket.says({ ...items(null, 3), epoch: "k2" }, items(3, 4));
    const news = on.news().filter((line) => /gap|items/.test(line));
    expect([epoch, news[0], news.filter((line) => line.includes("gap")).length]).toEqual([
      epoch,
      `${TRADE} gap 2-2 null epoch`,
      1,
    ]);
  }
});

test("client subscriptions - a kept position is gone on from; a book has none to go on from", async () => {
  const on = new Stage();
  on.client.subscribe(TRADE, { since: { epoch: "k1", seq: 7 } });
  on.socket.opens();
  expect(on.socket.last).toMatchObject({ since: { [TRADE]: { epoch: "k1", seq: 7 } } });
  expect(() => on.client.subscribe(DEPTH, { since: { epoch: "k1", seq: 7 } })).toThrow("a book begins with a snapshot");
});

// --- verifying ----------------------------------------------------------------------------------------------------------

test("client subscriptions - a book that crosses is compared with a snapshot, also one that is ahead of the stream", async () => {
  const on = await running(DEPTH);
  const depth = on.client.subscribe(DEPTH);
  on.socket.says(snapshot(10, [["1", "1"]], [["2", "1"]]), delta(10, 11, [["3", "1"]]));
  await on.flush();
  expect(on.socket.last).toMatchObject({ op: "resync", channel: DEPTH });
  on.news();
  // It is an auction: the book is right.
  on.socket.says(snapshot(11, [["3", "1"], ["1", "1"]], [["2", "1"]])); // biome-ignore format: one book
  on.socket.says(delta(11, 12, [["3.5", "1"]]));
  expect((await on.flush()).commands).toHaveLength(2);
  expect(on.news()).toEqual([`${DEPTH} snapshot 11`, `${DEPTH} delta 12`]);
  await on.clock.advance(5000);
  on.socket.says(delta(12, 13, [["3.6", "1"]]));
  expect((await on.flush()).commands).toHaveLength(3);
  // At 15 with a change at 14 or 15; the stream gets there with its next two deltas, which bring something else.
  const truth = [["3.6", "1"], ["3.5", "1"], ["3", "1"], ["1", "5"]] as const; // biome-ignore format: one side
  on.socket.says(snapshot(15, truth, [["2", "1"]]), delta(13, 14, [["1", "5"]]), delta(14, 16));
  expect(on.news()).toEqual([`${DEPTH} delta 13`, `${DEPTH} snapshot 15`, `${DEPTH} delta 16`]);
  await on.clock.advance(5000);
  on.socket.says(delta(16, 17, [["3.7", "1"]]));
  await on.flush();
  on.socket.says(snapshot(20, truth, [["2", "1"]]), delta(17, 18), delta(18, 21));
  expect(on.news()).toContain(`${DEPTH} broken different`);
  expect(depth.book.bids()).toEqual(truth.map(([price, quantity]) => [price, quantity]));
});

test("client subscriptions - with verifyMs every fresh book is compared now and then", async () => {
  const on = new Stage({ verifyMs: 60_000 });
  on.chance = 0.5;
  const depth = on.client.subscribe(DEPTH);
  const differences: unknown[] = [];
  depth.on("broken", (event) => differences.push(event.differences));
  on.socket.opens();
  on.socket.says(reply(1, { [DEPTH]: 10 }), snapshot(10, [["1", "1"]]));
  for (let second = 0; second < 59; second++) {
    await on.clock.advance(1000);
    on.socket.says({ ok: true, op: "pong" });
  }
  expect(on.socket.commands).toHaveLength(1);
  await on.clock.advance(1000);
  expect(on.socket.last).toMatchObject({ op: "resync" });
  on.socket.says(snapshot(10, [["1", "2"]]));
  expect(differences).toEqual([[{ side: "bid", price: "1", have: "1", want: "2" }]]);
  expect(depth.book.bids()).toEqual([["1", "2"]]);
});
