import { expect, test } from "bun:test";
import { clearOutboxes, createOutboxes, Outboxes } from "./outboxes.ts";

const MIB = 1024 * 1024;

test("outboxes - one worker may use what the others do not; over the limit whoever has more than a share goes down to it", () => {
  const memory = createOutboxes(4);
  const [a, b, c] = [0, 1, 2].map((worker) => new Outboxes(memory, worker, 8 * MIB)) as [Outboxes, Outboxes, Outboxes];
  expect(a.allowance(7 * MIB)).toBe(Number.POSITIVE_INFINITY);
  expect(b.allowance(MIB / 2)).toBe(Number.POSITIVE_INFINITY);
  expect(c.allowance(MIB)).toBe(2 * MIB);
  expect(a.allowance(7 * MIB)).toBe(2 * MIB);
  // Now it has shed some.
  expect(a.allowance(6 * MIB)).toBe(Number.POSITIVE_INFINITY);
  expect(c.allowance(MIB)).toBe(Number.POSITIVE_INFINITY);
});

test("outboxes - what a worker had that is gone counts no more; bytes are rounded up", () => {
  const memory = createOutboxes(2);
  const [gone, other] = [0, 1].map((worker) => new Outboxes(memory, worker, MIB)) as [Outboxes, Outboxes];
  gone.allowance(MIB);
  expect(other.allowance(1)).toBe(MIB / 2);
  clearOutboxes(memory, 0);
  expect(other.allowance(1)).toBe(Number.POSITIVE_INFINITY);
});
