/** The census: counting by several workers in one memory, what is freed, and what happens when it is full. */
import { expect, test } from "bun:test";
import { Census, createCensus, FULL } from "./census.ts";

function pair(keys = 100): [Census, Census, SharedArrayBuffer] {
  const memory = createCensus(2, keys);
  return [new Census(memory, 0), new Census(memory, 1), memory];
}

test("census - sessions of all workers are one number, and never more than the most", () => {
  const [a, b] = pair();
  expect([a.enter(3), b.enter(3), a.enter(3), b.enter(3), a.enter(3)]).toEqual([true, true, true, false, false]);
  expect(a.sessions).toBe(3);
  b.leave();
  expect(b.enter(3)).toBe(true);
});

test("census - a key is counted over all workers, others are not in it", () => {
  const [a, b] = pair();
  const places = [a.add("x", 0), b.add("x", 0), a.add("x", 0)];
  b.add("y", 0);
  expect([a.count("x"), b.count("x"), a.count("y"), a.count("z")]).toEqual([3, 3, 1, 0]);
  a.remove(places[0]!);
  b.remove(places[1]!);
  expect(b.count("x")).toBe(1);
  a.remove(places[2]!);
  expect(b.count("x")).toBe(0);
});

test("census - what a dead worker counted is removed, and nothing else", () => {
  const [a, b] = pair();
  a.enter(10);
  b.enter(10);
  b.enter(10);
  a.add("x", 0);
  for (let n = 0; n < 5; n++) b.add("x", 0);
  b.add("only b", 0);
  a.clear(1);
  expect([a.sessions, a.count("x"), a.count("only b")]).toEqual([1, 1, 0]);
});

test("census - places are given on: far more keys than places, one after the other", () => {
  const [a] = pair(1);
  for (let n = 0; n < 20_000; n++) {
    const place = a.add(`key ${n}`, 0);
    expect(place).not.toBe(FULL);
    a.remove(place);
  }
});

test("census - full: keys that find no place are told, those that are in stay counted", () => {
  const [a, b] = pair(1);
  let full = 0;
  let inside = 0;
  for (let n = 0; n < 3000; n++) {
    if (a.add(`key ${n}`, 0) === FULL) full++;
    else inside++;
  }
  // 1,024 places; almost all of them were found.
  expect(inside).toBeLessThanOrEqual(1024);
  expect(inside).toBeGreaterThan(1000);
  expect(full).toBe(3000 - inside);
  b.add("key 0", 0);
  expect(a.count("key 0")).toBe(2);
});

test("census - a bucket holds its burst, gains its rate, and is one for all workers", () => {
  const [a, b] = pair();
  const spend = (census: Census, nowMs: number) => census.spend("x", 10, 3, nowMs);
  expect([spend(a, 0), spend(b, 0), spend(a, 0)]).toEqual([0, 0, 0]);
  expect(spend(b, 0)).toBeCloseTo(100, 0);
  expect(spend(b, 60)).toBeCloseTo(40, 0);
  expect([spend(a, 100), spend(a, 100) > 0]).toEqual([0, true]);
  expect([spend(a, 1000), spend(a, 1000), spend(b, 1000), spend(b, 1000) > 0]).toEqual([0, 0, 0, true]);
  expect(b.spend("y", 10, 3, 1000)).toBe(0);
});

test("census - a bucket survives the wrap of its clock, long silence, and a clock that is set back", () => {
  const [a] = pair();
  const wrapMs = 2 ** 32 / 32;
  const wall = 1_795_321_300_000;
  for (const start of [wrapMs - 50, wrapMs * 1000 - 50, wall, wall + wrapMs / 2 + 1000]) {
    const key = `k ${start}`;
    for (let n = 0; n < 3; n++) expect([start, a.spend(key, 10, 3, start)]).toEqual([start, 0]);
    expect(a.spend(key, 10, 3, start)).toBeGreaterThan(0);
    expect(a.spend(key, 10, 3, start + 150)).toBe(0);
    const later = start + 31_536_000_000;
    for (let n = 0; n < 3; n++) expect([start, a.spend(key, 10, 3, later)]).toEqual([start, 0]);
    // Half an hour back: as if it had never been spent.
    for (let n = 0; n < 3; n++) expect([start, a.spend(key, 10, 3, later - 1_800_000)]).toEqual([start, 0]);
    expect(a.spend(key, 10, 3, later - 1_800_000)).toBeGreaterThan(0);
  }
});

test("census - a place with an unfilled bucket is nobody else's, a full one is given on", () => {
  const [a] = pair(1);
  const keys = Array.from({ length: 3000 }, (_, n) => `key ${n}`);
  const kept = keys.filter((key) => a.spend(key, 1, 1, 0) === 0 && a.spend(key, 1, 1, 0) > 0);
  expect(kept.length).toBeGreaterThan(1000);
  expect(kept.length).toBeLessThanOrEqual(1024);
  expect(a.spend(kept[0]!, 1, 1, 500)).toBeGreaterThan(0);
  expect(keys.filter((key) => a.spend(key, 1, 1, 0) === FULL).length).toBe(3000 - kept.length);
  const place = a.add("new", 1001);
  expect(place).not.toBe(FULL);
});

test("census - threads that count at once lose and invent nothing", async () => {
  const columns = 4;
  const memory = createCensus(columns, 64);
  const threads = Array.from({ length: columns }, (_, column) => {
    const thread = new Worker(new URL("../testing/census-thread.ts", import.meta.url).href);
    const answer = new Promise<{ lost: number; over: number }>((resolve, reject) => {
      thread.onmessage = ({ data }) => resolve(data);
      thread.onerror = (event) => reject(new Error(event.message));
    });
    thread.postMessage({ memory, column, rounds: 20_000, keys: 40 });
    return { thread, answer };
  });
  const answers = await Promise.all(threads.map(({ answer }) => answer));
  for (const { thread } of threads) thread.terminate();
  const census = new Census(memory, 0);
  expect(answers.map(({ lost }) => lost)).toEqual([0, 0, 0, 0]);
  expect(census.count("kept")).toBe(5 * columns);
  for (let key = 0; key < 40; key++) expect(census.count(`key ${key}`)).toBe(0);
  expect(census.sessions).toBe(1);
  census.clear(2);
  expect(census.count("kept")).toBe(5 * (columns - 1));
}, 30_000);
