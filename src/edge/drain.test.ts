/** Drain with sessions, a clock and chance of the test's own. */
import { expect, test } from "bun:test";
import { binance } from "../protocol/binance/mod.ts";
import type { Dialect, Opening } from "../protocol/dialect.ts";
import { native } from "../protocol/native/mod.ts";
import { Counters } from "./counters.ts";
import { Drain } from "./drain.ts";
import { Session, type Socket, type Wire } from "./session/session.ts";

interface Seen {
  readonly session: Session;
  readonly frames: string[];
  toldMs: number;
  closedMs: number | null;
  close: readonly [code: number, reason: string] | null;
}

/** Numbers below 1 that repeat. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function rig(count: number, spreadMs: number, path = "/ws/quote/v1", dialect: Dialect = native, market = "spot") {
  let nowMs = 5000;
  const opening = dialect.open(market, path, new URLSearchParams()) as Opening;
  const seen = Array.from({ length: count }, (_, place): Seen => {
    const session = new Session({ dialect, opening } as Wire, [], nowMs);
    const one: Seen = { session, frames: [], toldMs: 0, closedMs: null, close: null };
    session.place = place;
    session.socket = {
      send(frame: string) {
        one.toldMs = nowMs;
        return one.frames.push(frame);
      },
      close(code: number, reason: string) {
        session.place = -1;
        one.closedMs = nowMs;
        one.close = [code, reason];
      },
    } as unknown as Socket;
    return one;
  });
  const random = chance(1);
  const parts = { counters: new Counters(), nowMs: () => nowMs, wallMs: () => 1_795_321_303_000, random };
  const drain = new Drain(
    seen.map(({ session }) => session),
    spreadMs,
    "why",
    parts,
  );
  return {
    ...{ seen, drain },
    /** Steps until it is done; the longest time between two and the most that one closed. */
    run() {
      let waitMsMax = 0;
      let batchMax = 0;
      for (let steps = 0; !drain.done; steps++) {
        expect(steps).toBeLessThan(10_000);
        const open = seen.filter(({ closedMs }) => closedMs === null).length;
        const waitMs = drain.step();
        batchMax = Math.max(batchMax, open - seen.filter(({ closedMs }) => closedMs === null).length);
        waitMsMax = Math.max(waitMsMax, waitMs);
        nowMs += waitMs;
      }
      return { waitMsMax, batchMax, tookMs: nowMs - 5000 };
    },
  };
}

const afterMs = ({ frames }: Seen): number => (JSON.parse(frames[0]!) as { afterMs: number }).afterMs;

test("drain - everybody is told once, then closed 1012 at the moment that was named, not before and hardly after", () => {
  const { seen, run } = rig(500, 10_000);
  const { batchMax } = run();
  for (const one of seen) {
    expect([one.frames.length, one.close]).toEqual([1, [1012, "why"]]);
    const lateMs = one.closedMs! - (one.toldMs + afterMs(one));
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThan(80);
  }
  expect(batchMax).toBeLessThan(10);
});

test("drain - the closes are spread evenly over the time, after a pause to read the notice", () => {
  const { seen, run } = rig(1000, 10_000);
  const { tookMs } = run();
  const inSecond = Array.from({ length: 11 }, () => 0);
  for (const { closedMs } of seen) inSecond[Math.floor((closedMs! - 5000) / 1000)]!++;
  expect(inSecond[0]).toBe(0);
  for (const count of inSecond.slice(1, 10)) {
    expect(count).toBeGreaterThan(95);
    expect(count).toBeLessThan(127);
  }
  expect(tookMs).toBeLessThan(10_200);
});

test("drain - the order is made by chance: who came first does not leave first", () => {
  const { seen, run } = rig(1000, 10_000);
  run();
  const early = seen.slice(0, 500).filter(({ closedMs }) => closedMs! < 10_500).length;
  expect(early).toBeGreaterThan(200);
  expect(early).toBeLessThan(300);
});

test("drain - in no time all are told and closed, a thousand in a step", () => {
  const { seen, run } = rig(2500, 0);
  const { batchMax, tookMs } = run();
  expect(batchMax).toBe(1000);
  expect(tookMs).toBeLessThan(150);
  for (const one of seen) expect([one.frames.length, one.close?.[0]]).toEqual([1, 1012]);
});

test("drain - who leaves meanwhile is neither told nor closed", () => {
  const { seen, drain, run } = rig(10, 1000);
  drain.step();
  for (const { session } of seen.slice(0, 5)) session.place = -1;
  run();
  expect(seen.filter(({ close }) => close !== null)).toHaveLength(5);
});

test("drain - Binance spot is told in its words, USD-M has none and is closed all the same", () => {
  const spot = rig(1, 0, "/ws", binance);
  spot.run();
  expect(spot.seen[0]).toMatchObject({ frames: ['{"e":"serverShutdown","E":1795321303000}'], close: [1012, "why"] });
  const usdm = rig(1, 0, "/public/ws", binance, "usdm");
  usdm.run();
  expect(usdm.seen[0]).toMatchObject({ frames: [], close: [1012, "why"] });
});

test("drain - nobody to drain is done at once", () => {
  expect(rig(0, 10_000).drain.done).toBe(true);
});
