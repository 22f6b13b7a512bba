import { expect, test } from "bun:test";
import type { NatsConnection } from "@nats-io/transport-node";
import { createFakeClock } from "../../lib/fake-clock.ts";
import { newCounters } from "./counters.ts";
import { Outbox } from "./outbox.ts";

/** A connection that takes messages up to `most` bytes and confirms when it is told to. */
function stage(most = 1000) {
  const clock = createFakeClock();
  const counters = newCounters();
  const sent: number[] = [];
  let confirmed = Promise.withResolvers<void>();
  const connection = {
    isClosed: () => false,
    publish(_subject: string, bytes: Uint8Array) {
      if (bytes.length > most) throw new Error("payload too large");
      sent.push(bytes.length);
    },
    flush: () => confirmed.promise,
  } as unknown as NatsConnection;
  const refused: unknown[] = [];
  const outbox = new Outbox({
    ...{ clock, counters, heldBytesMax: 100, heldMsMax: 1000, windowBytes: 10 },
    refused: (error) => refused.push(error),
  });
  outbox.up(connection);
  const push = (publications: number, ...sizes: number[]): void => {
    const parts = sizes.map((size) => new Uint8Array(size));
    outbox.push("tg.x.t", parts, publications, publications > 0);
  };
  const confirm = async (): Promise<void> => {
    confirmed.resolve();
    confirmed = Promise.withResolvers<void>();
    await clock.run(20);
  };
  return { clock, counters, sent, refused, push, confirm };
}

test("nats bus, outbox - the oldest messages go whole and counted; the newest stays however large it is", async () => {
  const { counters, sent, push, confirm } = stage();
  push(0, 5);
  push(1, 60, 20);
  push(2, 50);
  expect(counters.dropped).toBe(1);
  // An answer.
  push(0, 200, 200);
  expect(counters.dropped).toBe(3);
  expect(sent).toEqual([5]);
  for (let i = 0; i < 3; i++) await confirm();
  expect(sent).toEqual([5, 200, 200]);
  expect(counters.publicationsOut).toBe(0);
});

test("nats bus, outbox - of a message that lost a part to the server's limit nothing more is sent", async () => {
  const { counters, sent, refused, push, confirm } = stage(50);
  push(0, 5);
  push(1, 8, 60, 7);
  push(2, 9);
  for (let i = 0; i < 4; i++) await confirm();
  expect(sent).toEqual([5, 8, 9]);
  expect(refused).toHaveLength(1);
  expect([counters.dropped, counters.publicationsOut]).toEqual([1, 2]);
});

test("nats bus, outbox - what waits too long goes, parts that were sent before or not", async () => {
  const { clock, counters, sent, push } = stage();
  push(3, 20, 20);
  await clock.run(1001);
  push(1, 5);
  expect([counters.dropped, sent]).toEqual([3, [20]]);
});
