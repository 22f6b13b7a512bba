/** Iterating a subscription: what a slow consumer gets, and how it ends. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { AnyUpdate, ConnectOptions } from "../src/mod.ts";
import { BatchQueue } from "../src/queues.ts";
import { DEPTH, delta, gap, items, reply, Stage, settled, snapshot, TRADE, value } from "./stage.ts";

function opened<Name extends string>(channel: Name, options: ConnectOptions = {}) {
  const on = new Stage(options);
  const subscription = on.client.subscribe(channel);
  on.socket.opens();
  on.socket.says(reply(1, { [channel]: 10 }));
  return { on, subscription };
}

/** The next `count` updates. */
async function take(updates: AsyncIterator<AnyUpdate, undefined>, count = 1): Promise<string[]> {
  const all: string[] = [];
  for (let at = 0; at < count; at++) {
    const { value } = await updates.next();
    all.push(value === undefined ? "end" : short(value));
  }
  return all;
}

const short = (update: AnyUpdate): string => {
  if (update.type === "gap") return `gap ${update.from}-${update.to} ${update.missed} ${update.reason}`;
  if (update.type === "items") return `items ${update.data.join(" ")}`;
  if (update.type === "candles")
    return `candles ${update.data.map(({ openTime, close }) => `${openTime}:${close}`).join(" ")}`;
  const stale = update.stale ? " stale" : "";
  return update.type === "book" ? `book ${update.book.bestBid?.[0]}${stale}` : `value ${update.data}${stale}`;
};

test("client iterators - items come in order, gaps where they are, each loop for itself", async () => {
  const { on, subscription } = opened(TRADE);
  const [one, two] = [subscription[Symbol.asyncIterator](), subscription[Symbol.asyncIterator]()];
  const first = one.next();
  on.socket.says(items(10, 12, ["a", "b"]), gap(13, 14, 2, "slow"), items(14, 15, ["c"]));
  expect(await first).toMatchObject({ done: false, value: { type: "items", channel: TRADE, seq: 12, time: 1 } });
  expect(await take(one, 2)).toEqual(["gap 13-14 2 slow", "items c"]);
  expect(await take(two, 3)).toEqual(["items a b", "gap 13-14 2 slow", "items c"]);
});

test("client iterators - who takes items too slowly gets the newest and a gap that counts the others", async () => {
  const { on, subscription } = opened(TRADE, { buffer: 4 });
  const updates = subscription[Symbol.asyncIterator]();
  on.socket.says(items(10, 11, ["a", "b"]), items(11, 12, ["c", "d"]), items(12, 13, ["e"]));
  expect(await take(updates, 4)).toEqual(["gap 11-11 1 buffer", "items b", "items c d", "items e"]);
  on.socket.says(items(13, 14, ["f"]), gap(15, 20, 6, "source"), items(20, 25, ["g", "h", "i", "j", "k", "l"]));
  expect(await take(updates, 2)).toEqual(["gap 14-25 9 buffer", "items i j k l"]);
  on.socket.says(gap(26, 30, null, "source"), items(30, 31, [1, 2, 3, 4, 5]), items(31, 32, [6, 7, 8, 9]));
  expect(await take(updates, 2)).toEqual(["gap 26-31 null buffer", "items 6 7 8 9"]);
});

test("client iterators - of items every one is taken or counted as missed, and no more than the buffer is held", () => {
  const batches = fc.array(fc.tuple(fc.nat({ max: 6 }), fc.boolean()), { maxLength: 60 });
  fc.assert(
    fc.property(batches, fc.integer({ min: 1, max: 12 }), (plan, buffer) => {
      const queue = new BatchQueue(buffer, false);
      let [next, sent] = [0, 0];
      const takeAll = (): void => {
        let held = 0;
        for (let update = queue.take(); update !== null; update = queue.take()) {
          if (update.type === "gap") next += update.missed ?? 0;
          else if (update.type === "items") {
            expect(update.data).toEqual(update.data.map((_, at) => next + at));
            next += update.data.length;
            held += update.data.length;
          }
        }
        expect(held).toBeLessThanOrEqual(buffer);
        expect(next).toBe(sent);
      };
      for (const [seq, [count, takes]] of plan.entries()) {
        const data = Array.from({ length: count }, () => sent++);
        queue.data({ channel: TRADE, type: "items", prev: seq - 1, seq, time: 1, sentUs: 1, data });
        if (takes) takeAll();
      }
      takeAll();
    }),
  );
});

test("client iterators - a book is one update, the newest, and says when it is stale", async () => {
  const { on, subscription } = opened(DEPTH);
  const updates = subscription[Symbol.asyncIterator]();
  on.socket.says(snapshot(10, [["1", "1"]]), delta(10, 11, [["2", "1"]]), delta(11, 12, [["3", "1"]]));
  const { value: update } = await updates.next();
  expect(update).toMatchObject({ type: "book", seq: 12, stale: false });
  expect(update?.book).toBe(subscription.book);
  on.socket.says({ channel: DEPTH, type: "stale" });
  expect(await take(updates)).toEqual(["book 3 stale"]);
  const waiting = updates.next();
  on.socket.says(snapshot(20, [["4", "1"]], [], { prev: 12 }));
  expect(short((await waiting).value as AnyUpdate)).toBe("book 4");
  // Nothing is said twice: the next is what comes next.
  on.socket.says(delta(20, 21, [["5", "1"]]));
  expect(await take(updates)).toEqual(["book 5"]);
  // Who comes later begins with what there is.
  expect(await take(subscription[Symbol.asyncIterator]())).toEqual(["book 5"]);
});

test("client iterators - a value is the newest, and a topic of one's own is what its first push says", async () => {
  const { on, subscription } = opened("b@bookTicker");
  const updates = subscription[Symbol.asyncIterator]();
  on.socket.says(value(9, 10, "a", "b@bookTicker"), value(10, 11, "b", "b@bookTicker"));
  expect(await take(updates)).toEqual(["value b"]);
  expect(subscription.value).toBe("b" as never);
  const own = opened("own");
  const one = own.subscription[Symbol.asyncIterator]();
  const waiting = one.next();
  own.on.socket.says(items(10, 11, [1], "own"), items(11, 12, [2], "own"));
  expect([short((await waiting).value as AnyUpdate), ...(await take(one))]).toEqual(["items 1", "items 2"]);
});

const candle = (openTime: number, close: string, closed = false) => ({ openTime, close, closed });

test("client iterators - each candle once in its newest state, closed ones are never skipped silently", async () => {
  const channel = "b@kline_1m";
  const { on, subscription } = opened(channel, { buffer: 3 });
  const updates = subscription[Symbol.asyncIterator]();
  const push = (seq: number, ...candles: object[]) => value(seq - 1, seq, candles, channel);
  on.socket.says(push(11, candle(1, "a")), push(12, candle(1, "b", true), candle(2, "c")), push(13, candle(2, "d")));
  expect(await take(updates)).toEqual(["candles 1:b 2:d"]);
  for (let at = 3; at < 9; at++) on.socket.says(push(11 + at, candle(at - 1, "x", true), candle(at, "y")));
  expect(await take(updates, 2)).toEqual(["gap 16-19 4 buffer", "candles 6:x 7:x 8:y"]);
  on.socket.says(push(30, candle(9, "a", true)), { ...push(40, candle(20, "n")), epoch: "k2" });
  expect(await take(updates, 3)).toEqual(["candles 9:a", "gap 40-40 null epoch", "candles 20:n"]);
});

test("client iterators - a loop ends with its subscription, after what came before", async () => {
  const { on, subscription } = opened(TRADE);
  const seen: string[] = [];
  const loop = (async () => {
    for await (const update of subscription) seen.push(short(update));
    return "ended";
  })();
  await settled();
  on.socket.says(items(10, 11, ["a"]), items(11, 12, ["b"]));
  subscription.unsubscribe();
  expect([await loop, seen]).toEqual(["ended", ["items a", "items b"]]);
  expect(await take(subscription[Symbol.asyncIterator]())).toEqual(["end"]);
});

test("client iterators - leaving a loop leaves the subscription, and holds nothing", async () => {
  const { on, subscription } = opened(TRADE);
  const loop = (async () => {
    for await (const update of subscription) return short(update);
    return "none";
  })();
  await settled();
  on.socket.says(items(10, 11, ["a"]), items(11, 12, ["b"]));
  expect(await loop).toBe("items a");
  expect([subscription.state, on.client.subscriptions.size]).toEqual(["fresh", 1]);
  on.client.close();
  const closed = subscription[Symbol.asyncIterator]();
  expect(await closed.next()).toEqual({ done: true, value: undefined });
});

test("client iterators - a listener that throws stops nobody, and its error is not lost", async () => {
  const program = `
    import { Emitter } from ${JSON.stringify(`${import.meta.dir}/../src/events.ts`)};
    const emitter = new Emitter();
    emitter.on("x", () => { throw new Error("of a listener"); });
    emitter.on("x", (event) => console.log("heard", event));
    emitter.emit("x", 1);
    console.log("went on");
  `;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "pipe" });
  expect(await new Response(child.stdout).text()).toBe("heard 1\nwent on\n");
  expect(await new Response(child.stderr).text()).toContain("of a listener");
  expect(await child.exited).toBe(1);
});
