import { expect, test } from "bun:test";
import type { Publication } from "../channel/types.ts";
import { createFakeClock, nextTurn } from "../lib/fake-clock.ts";
import { BUS_VERSION, type BusMessage, type ShardHeader } from "./bus.ts";
import { createFaults } from "./faults.ts";
import { createMemoryBus, createMemoryHub } from "./memory.ts";

const HEADER: ShardHeader = { version: BUS_VERSION, shard: "s1", token: 1, epoch: "e1" };
const publication = (seq: number): Publication => ({
  type: "value",
  data: { json: "{}" },
  channel: "c0",
  user: "",
  kind: "json",
  seq,
  prev: seq - 1,
  time: 0,
  receivedUs: 0,
});

test("memory bus - a publication arrives in the same turn and is the very object", () => {
  const bus = createMemoryBus();
  const seen: Publication[] = [];
  bus.subscribe("t", (m) => seen.push(...m.publications));
  const p = publication(1);
  bus.publish(HEADER, "t", p);
  expect(seen[0]).toBe(p);
});

test("memory bus - what a receiver publishes waits until everybody has the first", () => {
  const bus = createMemoryBus();
  const seen: string[] = [];
  const note = (who: string) => (m: BusMessage) => seen.push(`${who}${m.publications[0]?.seq}`);
  bus.subscribe("t", (m) => {
    note("a")(m);
    if (m.publications[0]?.seq === 1) {
      bus.publish(HEADER, "t", publication(2));
      bus.publish(HEADER, "t", publication(3));
    }
  });
  bus.subscribe("t", note("b"));
  bus.publish(HEADER, "t", publication(1));
  expect(seen).toEqual(["a1", "b1", "a2", "b2", "a3", "b3"]);
});

test("memory bus - receivers that publish without end are cut off and counted", () => {
  const hub = createMemoryHub();
  const bus = hub.attach();
  let calls = 0;
  bus.subscribe("t", () => {
    if (calls++ === 0) for (let i = 0; i < 100_010; i++) bus.publish(HEADER, "t", publication(i));
  });
  bus.publish(HEADER, "t", publication(0));
  expect(hub.counters.nestedDrops).toBe(10);
  expect(calls).toBe(100_001);
  bus.publish(HEADER, "t", publication(1));
  expect(calls).toBe(100_002);
});

test("memory bus - a receiver that throws is reported and harms no other", () => {
  const errors: unknown[] = [];
  const bus = createMemoryBus({ onError: (error) => errors.push(error) });
  const seen: number[] = [];
  bus.subscribe("t", () => {
    throw new Error("mine");
  });
  bus.subscribe("t", (m) => seen.push(m.publications[0]!.seq));
  bus.publish(HEADER, "t", publication(1));
  bus.publish(HEADER, "t", publication(2));
  expect(seen).toEqual([1, 2]);
  expect(errors).toHaveLength(2);
});

test("memory bus - receivers may come and go while they are called", () => {
  const bus = createMemoryBus();
  const seen: string[] = [];
  const first = bus.subscribe("t", () => {
    seen.push("first");
    first.close();
    second.close();
    bus.subscribe("t", () => seen.push("third"));
  });
  const second = bus.subscribe("t", () => seen.push("second"));
  bus.publish(HEADER, "t", publication(1));
  bus.publish(HEADER, "t", publication(2));
  expect(seen).toEqual(["first", "third"]);
});

test("memory bus - a request waits for an owner that comes in time", async () => {
  const clock = createFakeClock();
  const bus = createMemoryBus({ clock });
  const reply = bus.request({ channel: "c0", user: "", since: null });
  await nextTurn();
  bus.serve("s1", () => null);
  expect(await reply).toBeNull();
  expect(clock.pending).toBe(0);
});

test("memory bus - of two owners of a shard the newer answers, the older again when it is gone", async () => {
  const bus = createMemoryBus();
  const reply = (token: number) => ({
    ...HEADER,
    token,
    channel: "c0",
    user: "",
    seq: null,
    provides: [],
    after: null,
    state: null,
    time: 0,
    history: [],
    stale: false,
  });
  bus.serve("s1", () => reply(1));
  const newer = bus.serve("s1", () => reply(2));
  const token = async () => (await bus.request({ channel: "c0", user: "", since: null }))?.token;
  expect(await token()).toBe(2);
  newer.close();
  expect(await token()).toBe(1);
});

test("memory bus - an owner that throws is reported and does not answer", async () => {
  const clock = createFakeClock();
  const errors: unknown[] = [];
  const bus = createMemoryBus({ clock, onError: (error) => errors.push(error) });
  bus.serve("s1", () => {
    throw new Error("mine");
  });
  const reply = bus.request({ channel: "c0", user: "", since: null }).catch((error: { code: string }) => error.code);
  await clock.run(1000);
  expect(await reply).toBe("BUS_NO_ANSWER");
  expect(errors).toHaveLength(1);
});

test("memory bus - what the codec refuses is counted and goes nowhere", () => {
  const hub = createMemoryHub({ throughBytes: true });
  const bus = hub.attach();
  let calls = 0;
  bus.subscribe("t", () => calls++);
  bus.publish(HEADER, "t", { ...publication(1), seq: 0.5 });
  expect(calls).toBe(0);
  expect(hub.counters.malformed).toBe(1);
});

test("memory bus - what was delayed does not reach a subscription closed meanwhile", () => {
  const clock = createFakeClock();
  const bus = createMemoryHub({ clock, faults: { fate: () => [5] } }).attach();
  let calls = 0;
  const subscriptions = [bus.subscribe("t", () => calls++), bus.heads(() => calls++)];
  bus.publish(HEADER, "t", publication(1));
  bus.head({ ...HEADER, offset: null, source: "connected", provides: [], full: true, last: [] });
  for (const subscription of subscriptions) subscription.close();
  clock.advance(10);
  expect(calls).toBe(0);
});

test("memory bus - the hub's faults act on every node by its name, and a seed repeats them", () => {
  const run = (seed: number): string => {
    const clock = createFakeClock();
    const faults = createFaults(seed, { drop: 0.3, duplicate: 0.2, delay: 0.3, delayMaxMs: 20 });
    const nodes = new Set<string>();
    const hub = createMemoryHub({
      clock,
      faults: {
        fate(delivery) {
          nodes.add(delivery.node);
          return faults.fate(delivery);
        },
      },
    });
    const seen: string[] = [];
    const [one, two] = [hub.attach("one"), hub.attach("two")];
    one.subscribe("t", (m) => seen.push(`1:${m.publications[0]?.seq}`));
    two.subscribe("t", (m) => seen.push(`2:${m.publications[0]?.seq}`));
    for (let i = 0; i < 100; i++) {
      one.publish(HEADER, "t", publication(i));
      clock.advance(1);
    }
    clock.advance(100);
    expect([...nodes]).toEqual(["one", "two"]);
    return seen.join();
  };
  const first = run(7);
  expect(run(7)).toBe(first);
  expect(run(8)).not.toBe(first);
  const count = first.split(",").length;
  expect(count).toBeGreaterThan(120);
  expect(count).toBeLessThan(220);
});
