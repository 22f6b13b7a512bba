/** Joining with `since`, against real workers and real clients: who shares a request, and who needs none. */
import { afterEach, expect, test } from "bun:test";
import { type Client, FREE, type Harness, harness, until } from "./testing/harness.ts";

let h: Harness;
afterEach(() => h.stop());

const resume = (id: number, channel: string, seq: number, epoch = "e1") => ({
  id,
  op: "subscribe",
  channels: [channel],
  since: { [channel]: { epoch, seq } },
});

/** A client with a subscription, so that the topic runs here; three publications are on it. */
async function running(): Promise<Client> {
  const client = await h.client();
  await client.ask({ id: 1, op: "subscribe", channels: ["a@trade"] });
  for (let i = 0; i < 3; i++) h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").at(-1) === 3);
  return client;
}

const joins = (): unknown[] => h.engine.received("join").map((message) => message.is === "join" && message.since);

test("resuming - all that have the same position share one request, whoever has another has one of its own", async () => {
  h = await harness({ limits: { commands: FREE } });
  await running();
  h.engine.hold = true;
  const clients = await Promise.all(Array.from({ length: 12 }, () => h.client()));
  for (const [at, client] of clients.entries()) client.send(resume(1, "a@trade", 1 + (at % 2)));
  for (const client of clients) await client.ask({ id: 2, op: "ping" });
  await until(() => joins().length === 3, "the questions came");
  expect(joins()).toEqual([null, { epoch: "e1", seq: 1 }, { epoch: "e1", seq: 2 }]);
  // Who comes before the answer is read is served by it, with what was published since.
  h.engine.publish("a@trade");
  h.engine.release();
  for (const [at, client] of clients.entries()) {
    await client.until((c) => c.seqs("a@trade").at(-1) === 4);
    expect(client.seqs("a@trade")).toEqual(at % 2 === 0 ? [2, 3, 4] : [3, 4]);
    expect(client.reply(1)?.channels?.["a@trade"]).toMatchObject({ recovered: true, seq: 4 });
  }
  expect(joins().length).toBe(3);
});

test("resuming - a question that waits too long is asked again under the name of the one before", async () => {
  h = await harness({ limits: { askAgainMs: 100 } });
  h.engine.publish("a@trade");
  h.engine.hold = true;
  const client = await h.client();
  client.send(resume(1, "a@trade", 0));
  await until(() => h.engine.received("join").length >= 3, "it was asked again");
  const asked = h.engine.received("join");
  const numbers = asked.map((message) => (message.is === "join" ? message.request : 0));
  expect(asked.map((message) => (message.is === "join" ? message.instead : 0)).slice(0, 3)).toEqual([
    undefined,
    numbers[0],
    numbers[1],
  ]);
  h.engine.release();
  await client.until((c) => c.reply(1) !== undefined);
  expect(client.seqs("a@trade")).toEqual([1]);
});

test("resuming - who has all that the topic said needs no answer of main", async () => {
  h = await harness();
  h.engine.later = "position";
  const first = await running();
  const asked = joins().length;
  const second = await h.client();
  const reply = await second.ask(resume(1, "a@trade", 3));
  expect(reply.channels?.["a@trade"]).toMatchObject({ epoch: "e1", seq: 3, recovered: true });
  expect(joins().length).toBe(asked);
  h.engine.publish("a@trade");
  for (const client of [first, second]) await client.until((c) => c.seqs("a@trade").at(-1) === 4);
  expect(second.seqs("a@trade")).toEqual([4]);
  // Another numbering, or an older position: main knows more.
  const third = await h.client();
  await third.ask(resume(1, "a@trade", 4, "e0"));
  await third.ask({ id: 2, op: "unsubscribe", channels: ["a@trade"] });
  await third.ask(resume(3, "a@trade", 3));
  expect(joins().length).toBe(asked + 2);
});

test("resuming - of a value the latest frame is all there is, also for who has an older one", async () => {
  h = await harness();
  h.engine.later = "latest";
  h.engine.family = "value";
  const client = await running();
  const asked = joins().length;
  const second = await h.client();
  const reply = await second.ask(resume(1, "a@trade", 1));
  expect(reply.channels?.["a@trade"]).toMatchObject({ seq: 3, recovered: true });
  await second.until((c) => c.seqs("a@trade").length === 1);
  expect(second.seqs("a@trade")).toEqual([3]);
  expect(joins().length).toBe(asked);
  // Who is ahead of it: main knows whether that can be.
  await client.ask({ id: 2, op: "unsubscribe", channels: ["a@trade"] });
  await client.ask(resume(3, "a@trade", 9));
  expect(joins().length).toBe(asked + 1);
});
