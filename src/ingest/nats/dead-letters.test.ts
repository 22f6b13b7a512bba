import { expect, test } from "bun:test";
import type { NatsConnection } from "@nats-io/transport-node";
import type { BrokerRecord } from "../broker.ts";
import { DeadLetters } from "./dead-letters.ts";

const record: BrokerRecord = { topic: "md.x", key: null, value: new Uint8Array([1]), time: null };

test("nats dead letters - at most 1,000 a second go out, none without a connection; what is left out is counted", () => {
  let published = 0;
  let nowMs = 500;
  let connection: NatsConnection | null = { publish: () => published++ } as unknown as NatsConnection;
  const letters = new DeadLetters({
    subject: "dead",
    source: "s",
    clock: { monotonicMs: () => nowMs },
    connection: () => connection,
  });
  for (let i = 0; i < 1500; i++) letters.send(record, "no JSON");
  expect(letters.counts).toEqual({ "dead letters": 1000, "dead letters left out": 500 });
  nowMs += 1000;
  letters.send(record, "no JSON");
  expect(published).toBe(1001);
  connection = null;
  letters.send(record, "no JSON");
  connection = {
    publish: () => {
      throw new Error("closed");
    },
  } as unknown as NatsConnection;
  letters.send(record, "no JSON");
  expect(letters.counts).toEqual({ "dead letters": 1001, "dead letters left out": 502 });
});

test("nats dead letters - without a subject, and of what no broker gave, there are none", () => {
  const connection = () => null;
  const clock = { monotonicMs: () => 0 };
  const none = new DeadLetters({ subject: null, source: "s", clock, connection });
  none.send(record, "x");
  expect(none.counts).toEqual({});
  const some = new DeadLetters({ subject: "dead", source: "s", clock, connection });
  for (const value of ["text", null, { topic: "a" }, 5]) some.send(value, "x");
  expect(some.counts).toEqual({ "dead letters": 0, "dead letters left out": 0 });
});
