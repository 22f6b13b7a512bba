/** A session's life with a socket and commands of the test's own. */
import { expect, test } from "bun:test";
import type { Dialect } from "../../protocol/dialect.ts";
import { DEFAULT_LIMITS } from "../config.ts";
import { Counters } from "../counters.ts";
import { outboxBytesMaxOf, Watch } from "../delivery/watch.ts";
import { Hub, type Stream } from "../hub.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Joining } from "./joins.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Session, type Socket, type Wire } from "./session.ts";

function life(execute: (frame: string) => void) {
  const counters = new Counters();
  const hub = new Hub(counters, {} as Record<"native" | "binance", Dialect>, () => undefined);
  const faults: unknown[] = [];
  let nowMs = 0;
  let pings = 0;
  const lifecycle = new Lifecycle(
    hub,
    { begin: () => undefined, refuse: () => undefined, execute: (_session, frame) => execute(frame) },
    { forget: () => undefined } as unknown as Joining,
    counters,
    DEFAULT_LIMITS,
    () => nowMs,
    (error) => faults.push(error),
  );
  const open = (buffered = 0): Session => {
    const wire = { endpoint: { market: "spot" }, dialect: { name: "native" } } as Wire;
    const session = new Session(wire, [], nowMs);
    const socket = {
      close: (code: number, reason: string) => lifecycle.closed(session, code, reason),
      getBufferedAmount: () => buffered,
      ping: () => pings++,
    };
    lifecycle.opened(session, socket as unknown as Socket);
    return session;
  };
  return {
    ...{ counters, hub, faults, lifecycle, open },
    pings: () => pings,
    at: (ms: number) => {
      nowMs = ms;
    },
  };
}

test("lifecycle - a fault that a frame brings out closes that session 1011 and no other", () => {
  const l = life((frame) => {
    if (frame === "bad") throw new Error("fault");
  });
  const [bad, good] = [l.open(), l.open()];
  l.lifecycle.frame(bad, "bad");
  l.lifecycle.frame(good, "good");
  expect(l.hub.sessions).toEqual([good]);
  expect(l.counters.closes).toEqual({ "1011": 1 });
  expect(l.faults).toMatchObject([{ message: "fault" }]);
});

test("lifecycle - closes are counted under the code that says why", () => {
  const l = life(() => undefined);
  l.lifecycle.closed(l.open(), 1000, "");
  l.lifecycle.closed(l.open(), 1006, "");
  l.lifecycle.closed(l.open(), 1006, "Received too big message");
  l.lifecycle.closed(l.open(), 1006, "Received too big message");
  // Bun says 1006 also where it was the outbox that was full, whether the slow policy has seen it or not.
  const { outboxBytesMax } = DEFAULT_LIMITS;
  const some = l.open();
  some.watch = new Watch(some, outboxBytesMax / 2, 0, 0, 1000);
  l.lifecycle.closed(some, 1006, "");
  const full = l.open();
  full.watch = new Watch(full, outboxBytesMax, 0, 0, 1000);
  l.lifecycle.closed(full, 1006, "");
  l.lifecycle.closed(full, 1006, "");
  const sudden = l.open();
  sudden.streams.push({ bytes: 2 * outboxBytesMax, bytesBefore: outboxBytesMax } as Stream);
  expect(outboxBytesMaxOf(sudden)).toBe(outboxBytesMax);
  sudden.watch = new Watch(sudden, 0, 0, 0, 1000);
  expect(outboxBytesMaxOf(sudden)).toBe(0);
  sudden.streams.length = 0;
  l.lifecycle.closed(sudden, 1006, "");
  expect(l.counters.closes).toEqual({ "1000": 1, "1006": 3, "1009": 2, "4008": 1 });
  expect(l.hub.sessions).toEqual([]);
});

test("heartbeat - a ping every 20 s of silence, a close after 60 s, in ten slices", () => {
  const l = life(() => undefined);
  const sessions = Array.from({ length: 25 }, () => l.open());
  const heartbeat = new Heartbeat(l.hub, l.counters, DEFAULT_LIMITS, { look: () => undefined });
  const round = (ms: number) => {
    l.at(ms);
    for (let slice = 0; slice < 10; slice++) heartbeat.sweep(ms);
  };
  round(19_000);
  expect(l.pings()).toBe(0);
  l.at(20_000);
  heartbeat.sweep(20_000);
  expect(l.pings()).toBe(3);
  for (let slice = 1; slice < 10; slice++) heartbeat.sweep(20_000);
  expect(l.pings()).toBe(25);
  round(25_000);
  expect(l.pings()).toBe(25);
  l.lifecycle.pinged(sessions[0]!, true);
  round(41_000);
  expect(l.pings()).toBe(49);
  for (let ms = 60_000; ms < 63_000; ms += 1000) round(ms);
  expect(l.hub.sessions).toEqual([sessions[0]!]);
  expect(l.counters.closes).toEqual({ "4009": 24 });
});
