/**
 * Books that clients keep are exact: real libraries at 100 updates a second while their sockets are cut, delayed, throttled
 * and stopped, 20 s, all at once; and meanwhile 1,000 times subscribe, then REST. `npm run soak` does both for longer.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildNode, startChildNode } from "../lib/child-node.ts";
import { CLIENTS, NODE_FLAGS, type RunReport, runBooks, SYMBOLS } from "./lib/book-run.ts";
import { beginBooks } from "./lib/book-start.ts";
import type { ProgramName } from "./lib/program.ts";

const SECONDS = 20;
/** The first time, Python packages are installed. */
const MS_MAX = SECONDS * 1000 + 240_000;

const started = Promise.withResolvers<void>();
let node: ChildNode;
let running: Promise<PromiseSettledResult<RunReport>[]>;

beforeAll(async () => {
  node = await startChildNode(NODE_FLAGS);
  running = Promise.allSettled([runBooks({ node, seconds: SECONDS, seed: 7, onStart: started.resolve })]);
}, MS_MAX);

afterAll(async () => {
  // Its processes end with it, also if a test before it failed.
  await running;
  await node?.[Symbol.asyncDispose]();
}, MS_MAX);

async function report(): Promise<RunReport> {
  const [result] = await running;
  if (result?.status !== "fulfilled") throw result?.reason;
  return result.value;
}

test(
  "books - subscribe and REST join without a gap, a thousand times",
  async () => {
    // In the time that the others need anyway, but not while they start.
    await Promise.race([started.promise, running]);
    const { times, faults } = await beginBooks({ node, times: 1000 });
    expect(times).toBe(1000);
    expect(faults).toEqual([]);
  },
  MS_MAX,
);

for (const name of Object.keys(CLIENTS) as ProgramName[]) {
  test(
    `books - that of ${name} is the node's at every update id, however bad its network is`,
    async () => {
      const { books, cuts, ended, missing } = await report();
      if (missing[name] !== undefined) throw new Error(missing[name]);
      const own = books.filter(({ program }) => program === name);
      expect(own.length).toBe(CLIENTS[name].length * SYMBOLS.length);
      for (const { market, symbol, books: compared, faults, restarts, startGaps, complaints } of own) {
        const at = `${market} ${symbol}`;
        expect({ at, faults, startGaps, complaints }).toEqual({ at, faults: [], startGaps: 0, complaints: [] });
        // A chain breaks where a socket is cut, or closed by the node with a code, and nowhere else.
        expect(restarts, at).toBeLessThanOrEqual(cuts[name]! + ended[name]!);
        // Ten a second, less what it takes to dial again; on a machine that is busy much less.
        expect(compared, at).toBeGreaterThan(SECONDS);
      }
    },
    MS_MAX,
  );
}

test(
  "books - there were cuts, mostly in the middle of a frame, pauses, and many updates a second",
  async () => {
    const { cuts, torn, pauses, rates, nativeFaults } = await report();
    expect(nativeFaults).toEqual([]);
    const counts = Object.values(cuts);
    for (const count of counts) expect(count).toBeGreaterThan(0);
    expect(torn).toBeGreaterThan(counts.reduce((sum, count) => sum + count, 0) / 2);
    expect(pauses).toBeGreaterThan(3);
    // 130 to 160 where the machine has time, as `npm run soak` prints them.
    for (const [channel, rate] of Object.entries(rates)) expect(rate, channel).toBeGreaterThan(30);
  },
  MS_MAX,
);
