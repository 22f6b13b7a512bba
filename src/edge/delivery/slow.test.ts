/** The slow policy on a clock, sockets and a main thread of the test's own. */
import { expect, test } from "bun:test";
import { binance } from "../../protocol/binance/mod.ts";
import { native } from "../../protocol/native/mod.ts";
import { type DirectHead, type EdgeToMain, RUNGS, type Rung } from "../../ring/messages.ts";
import { DEFAULT_LIMITS, type EdgeLimits } from "../config.ts";
import { Counters } from "../counters.ts";
import { frameHeadBytes, Hub, type Stream } from "../hub.ts";
import { Requests } from "../requests.ts";
import { Joining } from "../session/joins.ts";
import { Lifecycle } from "../session/lifecycle.ts";
import { Moves } from "../session/moves.ts";
import { Session, type Socket, type Wire } from "../session/session.ts";
import { LeavingOut, type ReturnRequest } from "./left-out.ts";
import { createOutboxes, Outboxes } from "./outboxes.ts";
import { type OnSlow, SLOW_SWEEP_MS, Slow } from "./slow.ts";

/** A socket whose client reads nothing until it is told to. */
class SlowSocket {
  readonly frames: string[] = [];
  readonly names = new Set<string>();
  outbox = 0;
  closed: { readonly code: number; readonly reason: string } | null = null;
  terminated = false;
  onClose: (code: number, reason: string) => void = () => undefined;
  readonly subscribe = (name: string): void => void this.names.add(name);
  readonly unsubscribe = (name: string): void => void this.names.delete(name);
  readonly getBufferedAmount = (): number => this.outbox;
  readonly cork = (call: () => void): void => call();
  send(frame: string): number {
    this.frames.push(frame);
    if (this.outbox > 0) this.take(frame);
    return frame.length;
  }
  take(frame: string): void {
    this.outbox += frame.length + frameHeadBytes(frame.length);
  }
  close(code: number, reason: string): void {
    this.closed = { code, reason };
    this.onClose(code, reason);
  }
  terminate(): void {
    this.terminated = true;
    this.onClose(1006, "");
  }
}

interface Options {
  readonly limits?: Partial<EdgeLimits>;
  readonly onSlow?: (channel: string) => OnSlow;
  readonly nodeMax?: number;
}

function world({ limits: some = {}, onSlow = () => "wait", nodeMax = 2 ** 30 }: Options = {}) {
  const limits = { ...DEFAULT_LIMITS, ...some };
  const counters = new Counters();
  let nowMs = 1000;
  const clock = () => nowMs;
  const posted: EdgeToMain[] = [];
  const requests = new Requests((message) => posted.push(message), clock, 1000, 0);
  const dialects = { native, binance };
  const hub = new Hub(counters, dialects, (message) => posted.push(message));
  const sockets: SlowSocket[] = [];
  // Every socket on the name has it in its outbox.
  hub.publishThrough({
    publish(name, text) {
      for (const socket of sockets) if (socket.names.has(name)) socket.take(text);
      return text.length;
    },
  });
  const moves = new Moves(hub, requests, counters);
  const joining = new Joining(hub, requests, counters, limits, moves, clock);
  const nobody = { begin: () => undefined, refuse: () => undefined, execute: () => undefined };
  const lifecycle = new Lifecycle(hub, nobody, joining, counters, limits, clock, () => undefined);
  const slow = new Slow({
    hub,
    moves,
    leavingOut: new LeavingOut(hub, requests, counters, limits),
    lingering: lifecycle.lingering,
    outboxes: new Outboxes(createOutboxes(1), 0, nodeMax),
    counters,
    limits,
    nowMs: clock,
    onSlow,
  });
  const taken = (): ReturnRequest => {
    const message = posted.findLast((one) => one.is === "join");
    if (message?.is !== "join") throw new Error("nothing was asked");
    const request = requests.peek(message.request);
    if (request?.is !== "return") throw new Error("not a return");
    requests.done(message.request);
    return request;
  };
  let number = 0;
  // It has been running for a while.
  for (let sweep = 0; sweep < 5; sweep++) {
    nowMs += SLOW_SWEEP_MS;
    slow.sweep();
  }
  return {
    counters,
    hub,
    moves,
    slow,
    lifecycle,
    posted,
    /** A session on these channels, each at its rung. */
    open(rungs: Readonly<Record<string, Rung>>, dialect: "native" | "binance" = "native") {
      const socket = new SlowSocket();
      sockets.push(socket);
      const session = new Session({ dialect: dialects[dialect], endpoint: {} } as unknown as Wire, [], nowMs);
      socket.onClose = (code, reason) => lifecycle.closed(session, code, reason);
      lifecycle.opened(session, socket as unknown as Socket);
      for (const [channel, rung] of Object.entries(rungs)) {
        const topic = hub.topic({ channel, rung, dialect, timeUnit: "ms" });
        topic.family = channel.includes("trade") ? "items" : "book";
        topic.seq ??= 1;
        topic.epoch = "e1";
        if (topic.number === 0) hub.bind(topic, ++number);
        hub.add(session, hub.stream(topic, channel, false));
      }
      return { session, socket };
    },
    /** Publishes so many bytes on a stream; `items` of them. */
    publish(stream: Stream, bytes: number, items = 1) {
      stream.topic.seq = (stream.topic.seq ?? 0) + 1;
      stream.topic.items += items;
      hub.publish(stream.topic, "x".repeat(bytes));
    },
    /** Time passes in sweeps; main opens whatever rung is asked for, and its TICK comes in the same sweep. */
    run(ms: number, each: () => void = () => undefined) {
      for (let end = nowMs + ms; nowMs < end; ) {
        nowMs += SLOW_SWEEP_MS;
        each();
        slow.sweep();
        for (const message of posted.splice(0)) {
          const request = message.is === "move" ? requests.peek(message.request) : undefined;
          if (message.is !== "move" || request?.is !== "move") continue;
          requests.done(message.request);
          moves.opened(request.move, ++number);
        }
        moves.tick(2 ** RUNGS.length - 1);
      }
    },
    /** The request under way for a stream that was left out, and main's answer to it. */
    asked: () => posted.findLast((message) => message.is === "join"),
    answer(head: Partial<DirectHead & { is: "joined" }>, frames: readonly string[] = []) {
      const request = taken();
      const joined = { is: "joined", family: "items", epoch: "e1", seq: 1, recovered: true, later: "ask" } as const;
      request.back.answered(request, { ...joined, ...head }, frames);
    },
    refuse() {
      const request = taken();
      request.back.answered(request, { is: "refused", code: 1501, message: "too big" }, []);
    },
    lose: () => {
      counters.laps++;
    },
    stall: (ms: number) => {
      nowMs += ms;
    },
  };
}

const rungOf = (session: Session, channel: string): Rung | undefined =>
  session.streams[session.indexOf(channel)]?.topic.key.rung;
const KIB = 1024;

test("slow - over outboxBytesHigh one rung down, and no further while the outbox shrinks", () => {
  const w = world({ limits: { outboxAgeMaxMs: 60_000 } });
  const { session, socket } = w.open({ "a@depth": 0, "b@depth": 100, "a@trade": 0 });
  const [a, b] = [session.streams[0]!, session.streams[1]!];
  w.publish(a, 300 * KIB);
  w.run(100);
  expect([rungOf(session, "a@depth"), rungOf(session, "b@depth"), rungOf(session, "a@trade")]).toEqual([50, 250, 0]);
  expect(w.counters.slow).toMatchObject({ down: 1 });
  expect(socket.frames).toEqual([
    '{"channel":"a@depth","type":"cadence","ms":50,"reason":"slow"}',
    '{"channel":"b@depth","type":"cadence","ms":250,"reason":"slow"}',
  ]);
  expect(b.sessions).toBe(0);
  socket.outbox = 0;
  w.run(100);
  expect(rungOf(session, "a@depth")).toBe(50);
});

test("slow - a session is on no cadence faster than its oldest byte is old, and over 1 s on 1000 ms at once", () => {
  const w = world({ limits: { outboxAgeMaxMs: 60_000 } });
  const { session } = w.open({ "a@depth": 0, "b@depth": 2000, "a@trade": 0 });
  w.publish(session.streams[0]!, 1000);
  w.run(200);
  expect(rungOf(session, "a@depth")).toBe(0);
  w.run(100);
  expect(rungOf(session, "a@depth")).toBe(250);
  w.run(250);
  expect(rungOf(session, "a@depth")).toBe(500);
  w.run(500);
  expect([rungOf(session, "a@depth"), rungOf(session, "b@depth"), rungOf(session, "a@trade")]).toEqual([1000, 2000, 0]);
  expect(w.counters.slow).toMatchObject({ downAge: 2, down1000: 1 });
  // Whoever joins later is brought there too.
  w.run(3000);
  expect(rungOf(session, "a@depth")).toBe(1000);
});

test("slow - older than outboxAgeMaxMs is closed 4008 at any rung, and what waits is sent before the code", () => {
  const w = world();
  const { session, socket } = w.open({ "a@depth": 3000 });
  w.publish(session.streams[0]!, 10);
  w.run(2500);
  expect(session.open).toBe(true);
  w.run(100);
  expect(session.open).toBe(false);
  expect(socket.closed).toBeNull();
  expect(socket.names.size).toBe(0);
  expect(w.counters.closes).toEqual({ "4008": 1 });
  expect(w.hub.sessions).toEqual([]);
  socket.outbox = 4;
  w.lifecycle.drained(session);
  expect(socket.closed).toBeNull();
  socket.outbox = 0;
  w.lifecycle.drained(session);
  expect(socket.closed).toEqual({ code: 4008, reason: "too slow" });
  expect(w.lifecycle.lingering.size).toBe(0);
  expect(w.counters.closes).toEqual({ "4008": 1 });
  w.run(50);
  expect([w.slow.watched, w.slow.outboxBytes]).toEqual([0, 0]);
});

test("slow - a socket that takes nothing for closeLingerMs is cut", () => {
  const w = world({ limits: { closeLingerMs: 5000 } });
  const { session, socket } = w.open({ "a@depth": 0 });
  w.publish(session.streams[0]!, 10);
  w.run(7400);
  expect([session.open, socket.terminated]).toEqual([false, false]);
  expect(w.slow.outboxBytes).toBe(socket.outbox);
  w.run(300);
  expect([socket.terminated, socket.closed, w.lifecycle.lingering.size]).toEqual([true, null, 0]);
  expect(w.counters.closes).toEqual({ "4008": 1 });
  expect(w.counters.slow).toMatchObject({ closedAge: 1, cutLate: 1 });
  w.run(50);
  expect(w.slow.outboxBytes).toBe(0);
});

test("slow - an outbox that is nearly full is closed while there is room for the code", () => {
  const w = world({ limits: { outboxBytesMax: 512 * KIB } });
  const { session, socket } = w.open({ "a@trade": 0 });
  w.publish(session.streams[0]!, 400 * KIB);
  w.run(100);
  expect(session.open).toBe(false);
  expect(w.counters.slow).toMatchObject({ closedBytes: 1 });
  socket.outbox = 0;
  w.lifecycle.drained(session);
  expect(socket.closed?.code).toBe(4008);
});

test("slow - who keeps up again goes up a rung at a time, never above what was asked for, and with growing patience", () => {
  const w = world({ limits: { slowPatienceMs: 1000, slowPatienceMsMax: 3000, outboxAgeMaxMs: 60_000 } });
  const { session, socket } = w.open({ "a@depth": 100, "b@depth": 0 });
  const b = session.streams[1]!;
  const fill = () => w.publish(session.streams[1]!, 10);
  const drain = () => {
    socket.outbox = 0;
  };
  w.publish(b, 10);
  w.run(1100);
  expect([rungOf(session, "a@depth"), rungOf(session, "b@depth")]).toEqual([1000, 1000]);
  w.run(950, drain);
  expect(rungOf(session, "a@depth")).toBe(1000);
  w.run(150, drain);
  expect([rungOf(session, "a@depth"), rungOf(session, "b@depth")]).toEqual([500, 500]);
  // Slow again at once: the patience doubles.
  fill();
  w.run(1100);
  expect(rungOf(session, "a@depth")).toBe(1000);
  w.run(1900, drain);
  expect(rungOf(session, "a@depth")).toBe(1000);
  w.run(200, drain);
  expect(rungOf(session, "a@depth")).toBe(500);
  w.run(4000, drain);
  expect([rungOf(session, "a@depth"), rungOf(session, "b@depth")]).toEqual([100, 100]);
  w.run(4000, drain);
  expect([rungOf(session, "a@depth"), rungOf(session, "b@depth")]).toEqual([100, 0]);
  expect(w.counters.slow.up).toBe(6);
  // And after a while nothing is left of it.
  w.run(10_000, drain);
  expect([session.watch, w.slow.watched]).toEqual([null, 0]);
});

test("slow - a cadence asked for while slowed is where it goes back to; a slower one holds at once", () => {
  const w = world({ limits: { slowPatienceMs: 500, outboxAgeMaxMs: 60_000 } });
  const { session, socket } = w.open({ "a@depth": 0 });
  w.publish(session.streams[0]!, 10);
  w.run(600);
  expect(rungOf(session, "a@depth")).toBe(500);
  expect(w.moves.ask(session, 0, 250)).toBe(500);
  w.run(20_000, () => {
    socket.outbox = 0;
  });
  expect([rungOf(session, "a@depth"), session.watch]).toEqual([250, null]);

  w.publish(session.streams[0]!, 10);
  w.run(600);
  expect(rungOf(session, "a@depth")).toBe(500);
  expect(w.moves.ask(session, 0, 2000)).toBe(2000);
  w.run(20_000, () => {
    socket.outbox = 0;
  });
  expect([rungOf(session, "a@depth"), session.watch]).toEqual([2000, null]);
});

test("slow - who saw a channel turn stale is still known to have, on whatever rung it is then", () => {
  const w = world({ limits: { outboxAgeMaxMs: 60_000 } });
  const saw = w.open({ "a@depth": 100 }, "binance");
  const { topic } = saw.session.streams[0]!;
  topic.staleJoiners = new Set();
  const knew = w.open({ "a@depth": 100 }, "binance");
  const joined = w.open({ "a@depth": 250 }, "binance");
  w.publish(saw.session.streams[0]!, 10);
  w.run(300);
  const target = joined.session.streams[0]!.topic;
  expect([saw, knew].map(({ session }) => session.streams[0]!.topic === target)).toEqual([true, true]);
  // Main opened 250 ms after it had said that the channel is stale, so it has not said it of this one.
  expect([...(target.staleJoiners ?? [])]).toEqual([joined.session, knew.session]);
});

test("slow - unsubscribed and subscribed again, it is what was asked for then", () => {
  const w = world({ limits: { slowPatienceMs: 500, outboxAgeMaxMs: 60_000 } });
  const { session, socket } = w.open({ "a@depth": 0 });
  w.publish(session.streams[0]!, 10);
  w.run(300);
  expect(rungOf(session, "a@depth")).toBe(250);
  w.hub.remove(session, 0);
  const topic = w.hub.topic({ channel: "a@depth", rung: 500, dialect: "native", timeUnit: "ms" });
  w.hub.add(session, w.hub.stream(topic, "a@depth", false));
  w.run(20_000, () => {
    socket.outbox = 0;
  });
  expect(rungOf(session, "a@depth")).toBe(500);
});

test("slow - one rung down for who is over a limit on what it is sent, lossless ones too, and up again", () => {
  const w = world({ limits: { slowPatienceMs: 500 } });
  const { session } = w.open({ "a@depth": 0, "a@trade": 0, "b@depth": 3000 });
  w.slow.slowDown(session, "frames");
  w.run(50);
  expect(session.streams.map(({ topic }) => topic.key.rung)).toEqual([50, 50, 3000]);
  w.slow.slowDown(session, "bytes");
  w.run(50);
  expect(session.streams.map(({ topic }) => topic.key.rung)).toEqual([100, 100, 3000]);
  expect(w.counters.slow).toMatchObject({ frames: 1, bytes: 1 });
  w.run(5000);
  expect(session.streams.map(({ topic }) => topic.key.rung)).toEqual([0, 0, 3000]);
});

test("slow - time in which this thread stood still is nobody's fault", () => {
  const w = world();
  const { session } = w.open({ "a@depth": 0 });
  w.publish(session.streams[0]!, 10);
  w.run(100);
  w.stall(10_000);
  w.run(50);
  expect(session.open).toBe(true);
  expect(session.watch?.ageMs).toBeLessThanOrEqual(250);
  w.run(2500);
  expect(session.open).toBe(false);
});

test("slow - thousands of idle sessions are looked at in turn, and whoever is slow among them is found", () => {
  const w = world();
  const all = Array.from({ length: 10_000 }, () => w.open({}));
  let looks = 0;
  for (const { session, socket } of all) {
    const getBufferedAmount = (): number => {
      looks++;
      return socket.outbox;
    };
    session.socket = { ...socket, getBufferedAmount } as unknown as Socket;
  }
  w.run(50);
  expect(looks).toBe(2500);
  const { socket, session } = all[7000]!;
  socket.outbox = 5;
  w.run(200);
  expect([w.slow.watched, session.watch?.bytes]).toEqual([1, 5]);
  // It was found at most one round late, and its age says so.
  expect(session.watch?.ageMs).toBeGreaterThanOrEqual(200);
  expect(session.watch?.ageMs).toBeLessThanOrEqual(400);
});

test("slow - over the node's bytes the largest outboxes go first, with 4014, and their bytes do not stay", () => {
  const w = world({ nodeMax: 1000 * KIB, limits: { outboxBytesHigh: 900 * KIB } });
  const sizes = [100, 400, 200, 300, 250].map((kib) => kib * KIB);
  const all = sizes.map((size, at) => {
    const one = w.open({ [`c${at}@trade`]: 0 });
    w.publish(one.session.streams[0]!, size);
    return one;
  });
  w.run(100);
  // 1250 KiB are over 1000; three quarters of them are for sessions that live.
  expect(all.map(({ session }) => session.open)).toEqual([true, false, true, false, true]);
  expect(w.counters.closes).toEqual({ "4014": 2 });
  w.run(100);
  expect(w.slow.outboxBytes).toBeLessThanOrEqual(1000 * KIB);
  expect(all.map(({ socket }) => socket.terminated).filter(Boolean).length).toBeGreaterThan(0);
  expect(w.counters.slow).toMatchObject({ shed: 2 });
});

test("slow - a lossless stream whose topic says so goes on without a slow session, which is told what it lost", () => {
  const w = world({ onSlow: (channel) => (channel === "a@trade" ? "gap" : "wait"), limits: { slowPatienceMs: 500 } });
  const { session, socket } = w.open({ "a@trade": 0, "b@trade": 0 });
  const [a, b] = [session.streams[0]!, session.streams[1]!];
  const others = w.open({ "a@trade": 0 });
  w.publish(a, 10);
  w.run(1100, () => {
    others.socket.outbox = 0;
  });
  expect([socket.names.has(a.name), socket.names.has(b.name), a.sessions, a.topic.sessions]).toEqual([
    false,
    true,
    1,
    2,
  ]);
  expect(session.streams).toEqual([a, b]);
  const have = a.topic.seq!;
  for (let n = 0; n < 5; n++) w.publish(a, 10, 3);
  const drain = () => {
    socket.outbox = 0;
    others.socket.outbox = 0;
  };
  w.run(400, drain);
  expect(w.asked()).toBeUndefined();
  // run() throws away what it posts: the last step is made by hand.
  w.stall(50);
  w.slow.sweep();
  w.stall(50);
  w.slow.sweep();
  w.stall(50);
  w.slow.sweep();
  expect(w.asked()).toMatchObject({ key: { channel: "a@trade" }, since: { epoch: "e1", seq: have } });
  const frames = [
    `"type":"gap","missed":null,"from":${have + 1},"to":${have + 3},"reason":"history"}`,
    `"type":"items","prev":${have + 3},"seq":${have + 5},"data":[1,2,3,4,5,6]}`,
  ];
  w.answer({ seq: have + 5, recovered: false }, frames);
  expect(socket.frames).toEqual([
    `{"channel":"a@trade","type":"gap","missed":9,"from":${have + 1},"to":${have + 3},"reason":"slow"}`,
    `{"channel":"a@trade",${frames[1]}`,
  ]);
  expect([socket.names.has(a.name), a.sessions]).toEqual([true, 2]);
  expect(w.counters.slow).toMatchObject({ leftOut: 1, out: 1, gap: 1, missedItems: 9 });
});

/** A session that was left out of `a@trade`, and is asked to come back after so many publications. */
function leftOut(options: Options = {}, dialect: "native" | "binance" = "native") {
  const w = world({ onSlow: () => "gap", ...options, limits: { slowPatienceMs: 500, ...options.limits } });
  const { session, socket } = w.open({ "a@trade": 0 }, dialect);
  const stream = session.streams[0]!;
  w.publish(stream, 10);
  w.run(1100);
  const have = stream.topic.seq!;
  const ask = () => {
    socket.outbox = 0;
    for (let n = 0; n < 12; n++) {
      w.stall(50);
      w.slow.sweep();
    }
  };
  return { w, session, socket, stream, have, ask };
}

test("slow - when history has all that was missed, nothing is lost: the notice says so", () => {
  const { w, socket, stream, have, ask } = leftOut();
  w.publish(stream, 10);
  ask();
  w.answer({ seq: have + 1 }, [`"type":"items","prev":${have},"seq":${have + 1},"data":[1]}`]);
  expect(socket.frames[0]).toBe(
    `{"channel":"a@trade","type":"gap","missed":0,"from":${have + 1},"to":${have},"reason":"slow"}`,
  );
  expect(socket.frames.length).toBe(2);
});

test("slow - who is slow again soon after gets the notice alone, without asking main", () => {
  const { w, session, socket, stream, have, ask } = leftOut();
  ask();
  w.answer({ seq: have }, []);
  socket.frames.length = 0;
  w.publish(stream, 10);
  w.run(1100);
  expect(session.watch?.leftOut.size).toBe(1);
  w.publish(stream, 10, 4);
  w.posted.length = 0;
  for (let n = 0; n < 3; n++) ask();
  expect(w.asked()).toBeUndefined();
  expect(socket.frames).toEqual([
    `{"channel":"a@trade","type":"gap","missed":4,"from":${have + 2},"to":${have + 2},"reason":"slow"}`,
  ]);
});

test("slow - what is too much to send at once is lost and counted; after a lap it cannot be counted", () => {
  const big = leftOut({ limits: { outboxBytesHigh: 2000 } });
  big.w.publish(big.stream, 10, 7);
  big.ask();
  big.w.answer({ seq: big.have + 1 }, [
    `"type":"items","prev":${big.have},"seq":${big.have + 1},"data":["${"x".repeat(1500)}"]}`,
  ]);
  const range = `"from":${big.have + 1},"to":${big.have + 1},"reason":"slow"}`;
  expect(big.socket.frames).toEqual([`{"channel":"a@trade","type":"gap","missed":7,${range}`]);

  const lapped = leftOut();
  lapped.w.publish(lapped.stream, 10);
  lapped.w.lose();
  lapped.ask();
  lapped.w.answer({ seq: lapped.have + 1, recovered: false }, []);
  expect(lapped.socket.frames[0]).toContain('"missed":null');
});

test("slow - what main cannot send is lost and counted", () => {
  const { w, session, socket, stream, have, ask } = leftOut();
  w.publish(stream, 10, 3);
  ask();
  w.refuse();
  const range = `"from":${have + 1},"to":${have + 1},"reason":"slow"}`;
  expect(socket.frames).toEqual([`{"channel":"a@trade","type":"gap","missed":3,${range}`]);
  expect([session.open, session.watch?.leftOut.size]).toEqual([true, 0]);
  // Of another epoch nothing can be said.
  const other = leftOut();
  other.ask();
  other.stream.topic.epoch = "e2";
  other.w.refuse();
  expect([other.session.open, other.socket.closed?.code]).toEqual([false, 1012]);
});

test("slow - a new epoch while left out is told in main's words", () => {
  const { w, session, socket, have, ask } = leftOut();
  ask();
  const frames = [
    `"type":"gap","epoch":"e2","missed":null,"from":${have + 1},"to":900,"reason":"epoch"}`,
    '"type":"items","prev":null,"epoch":"e2","seq":901,"data":[1]}',
  ];
  w.answer({ epoch: "e2", seq: 901, recovered: false }, frames);
  expect(socket.frames).toEqual(frames.map((frame) => `{"channel":"a@trade",${frame}`));
  expect(session.watch?.leftOut.size).toBe(0);
});

test("slow - left out, then unsubscribed, moved or closed: every count comes out even", () => {
  const gone = leftOut();
  gone.ask();
  gone.w.hub.remove(gone.session, 0);
  gone.w.answer({ seq: gone.have }, []);
  expect([gone.stream.sessions, gone.w.hub.subscriptions, [...gone.w.hub.topics()].length]).toEqual([0, 0, 0]);
  expect(gone.socket.frames).toEqual([]);

  const moved = leftOut();
  moved.w.publish(moved.stream, 10, 2);
  moved.w.moves.ask(moved.session, 0, 250);
  moved.w.run(100);
  expect([rungOf(moved.session, "a@trade"), moved.session.watch?.leftOut.size]).toEqual([250, 1]);
  expect(moved.session.streams[0]!.sessions).toBe(0);
  moved.ask();
  moved.w.answer({ seq: moved.have + 1, recovered: false }, []);
  const range = `"from":${moved.have + 1},"to":${moved.have + 1},"reason":"slow"}`;
  expect(moved.socket.frames.at(-1)).toBe(`{"channel":"a@trade","type":"gap","missed":2,${range}`);
  expect(moved.session.streams[0]!.sessions).toBe(1);

  const closed = leftOut();
  closed.ask();
  closed.w.lifecycle.closed(closed.session, 1006, "");
  closed.w.answer({ seq: closed.have }, []);
  expect([closed.stream.sessions, closed.w.hub.subscriptions, [...closed.w.hub.topics()].length]).toEqual([0, 0, 0]);
});

test("slow - Binance has no word for what was left out: closed 1012 with the channel", () => {
  const { w, session, socket } = leftOut({}, "binance");
  expect(session.open).toBe(false);
  socket.outbox = 0;
  w.run(50);
  expect(socket.closed).toEqual({ code: 1012, reason: "a@trade: continuity was lost, too slow" });
  expect(w.counters.slow).toMatchObject({ closedGap: 1 });
});
