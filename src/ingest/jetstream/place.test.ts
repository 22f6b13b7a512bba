import { expect, test } from "bun:test";
import { RetentionPolicy, type StreamConfig, type StreamInfo } from "@nats-io/jetstream";
import { keepsForConsumers, placeOf, type Read } from "./place.ts";

const stream = (first_seq: number, last_seq: number, created = "1") =>
  ({ config: { name: "S" }, created, state: { first_seq, last_seq } }) as StreamInfo;

const read = (position: number | null, more: Partial<Read> = {}): Read => ({
  incarnation: "S@1",
  position,
  through: 0,
  passed: false,
  committed: null,
  isKept: () => false,
  ...more,
});

test("jetstream place - goes on behind the last record as long as the stream still has what follows", () => {
  expect(placeOf(stream(1, 9), read(null))).toEqual({ position: null, broken: null });
  expect(placeOf(stream(5, 9), read(4))).toEqual({ position: 4, broken: null });
  expect(placeOf(stream(10, 9), read(9))).toEqual({ position: 9, broken: null });
  expect(placeOf(stream(8, 9), read(4, { through: 7 }))).toEqual({ position: 7, broken: null });
  expect(placeOf(stream(8, 9), read(4, { isKept: () => true }))).toEqual({ position: 4, broken: null });
});

test("jetstream place - what is gone, or of another stream, is a new epoch and says why", () => {
  expect(placeOf(stream(6, 9), read(4))).toMatchObject({ position: 5, broken: { cause: "expired" } });
  expect(placeOf(stream(1, 3), read(4))).toMatchObject({ position: 3, broken: { cause: "rewound" } });
  expect(placeOf(stream(1, 3, "2"), read(4))).toMatchObject({ position: 0, broken: { cause: "recreated" } });
  expect(placeOf(stream(1, 9), read(4, { passed: true }))).toMatchObject({ position: 4, broken: { cause: "expired" } });
});

test("jetstream place - a stream keeps for its consumers unless it has limits alone", () => {
  const { Limits, Interest, Workqueue } = RetentionPolicy;
  const keeps = [Limits, Interest, Workqueue].map((retention) =>
    keepsForConsumers({ config: { retention } as StreamConfig }),
  );
  expect(keeps).toEqual([false, true, true]);
});
