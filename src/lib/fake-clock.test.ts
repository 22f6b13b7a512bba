import { expect, test } from "bun:test";
import { createFakeClock } from "./fake-clock.ts";

test("fake clock - timers run in the order of their due times and see their own time", () => {
  const clock = createFakeClock(5_000_000);
  const seen: string[] = [];
  clock.after(20, () => seen.push(`b@${clock.monotonicMs()}`));
  clock.after(10, () => {
    seen.push(`a@${clock.monotonicMs()}`);
    clock.after(5, () => seen.push(`c@${clock.wallUs()}`));
  });
  clock.after(20, () => seen.push("b2"));
  clock.advance(19);
  expect(seen).toEqual(["a@10", "c@5015000"]);
  clock.advance(1);
  expect(seen).toEqual(["a@10", "c@5015000", "b@20", "b2"]);
  expect(clock.wallUs()).toBe(5_020_000);
  expect(clock.pending).toBe(0);
});

test("fake clock - a cancelled timer never runs", () => {
  const clock = createFakeClock();
  let ran = 0;
  const timer = clock.after(1, () => ran++);
  timer.cancel();
  timer.cancel();
  clock.advance(10);
  expect(ran).toBe(0);
});

test("fake clock - run lets promises move between timers", async () => {
  const clock = createFakeClock();
  const seen: string[] = [];
  clock.after(1, () => {
    Promise.resolve().then(() => {
      seen.push("promise");
      clock.after(1, () => seen.push(`timer@${clock.monotonicMs()}`));
    });
  });
  await clock.run(5);
  expect(seen).toEqual(["promise", "timer@2"]);
  expect(clock.monotonicMs()).toBe(5);
});
