import { expect, test } from "bun:test";
import type { NatsConnection } from "@nats-io/transport-node";
import { createFakeClock } from "../../lib/fake-clock.ts";
import { newCounters } from "./counters.ts";
import { Stored } from "./stored.ts";

/** A connection that takes no message over `most` bytes and acknowledges nothing by itself. */
function stage(most: number) {
  const clock = createFakeClock();
  const counters = newCounters();
  const sent: number[] = [];
  const connection = {
    subscribe: () => undefined,
    isClosed: () => false,
    publish(_subject: string, bytes: Uint8Array) {
      if (bytes.length > most) throw new Error("payload too large");
      sent.push(bytes.length);
    },
  } as unknown as NatsConnection;
  const stored = new Stored({
    ...{ clock, counters, bytesMax: 1 << 20, everything: "tg.x.>", told: () => undefined },
    ensure: () => Promise.resolve(),
  });
  stored.up(connection);
  return { clock, counters, stored, sent };
}

test("nats bus, stored - a message that the server will never take is dropped once and holds nothing up", async () => {
  const { clock, counters, stored, sent } = stage(10);
  await clock.run(0);
  stored.push("tg.x.t", [new Uint8Array(20)], 3, "one");
  expect(stored.pending).toBe(0);
  await clock.run(30_000);
  expect(counters.dropped).toBe(3);
  expect(sent).toEqual([]);
  expect(stored.error).toBe("");
  await stored.flushed();
  stored.close();
});

test("nats bus, stored - a message in parts of which one is refused is dropped whole; who waits for it is told", async () => {
  const { clock, counters, stored, sent } = stage(10);
  // Refused once the stream is there, which it is not yet.
  stored.push("tg.x.t", [new Uint8Array(20), new Uint8Array(5)], 3, "one");
  stored.push("tg.x.t", [new Uint8Array(6), new Uint8Array(20), new Uint8Array(5)], 4, "two");
  stored.push("tg.x.t", [new Uint8Array(7)], 5, "three");
  const waiting = stored.flushed().catch((error: { code?: string }) => error.code);
  await clock.run(0);
  expect(await waiting).toBe("BUS_NOT_STORED");
  expect(sent).toEqual([6, 7]);
  expect(counters.dropped).toBe(7);
  expect(counters.publicationsOut).toBe(5);
  expect(stored.pending).toBe(2);
  stored.close();
});
