/** Outboxes on real sockets, with a scripted engine: what the kernel hides, what Bun closes, what is sent before a code. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { type Harness, harness, until } from "./testing/harness.ts";
import { clientFrame, closeCode, type RawSocket, rawWebSocket, serverFrames } from "./testing/raw-socket.ts";

setDefaultTimeout(60_000);

let h: Harness;
const raws: RawSocket[] = [];

afterEach(async () => {
  for (const { socket } of raws.splice(0)) socket.destroy();
  await h.stop();
});

/** A client on `a@trade` that has stopped reading. */
async function stopped(): Promise<RawSocket> {
  const raw = await rawWebSocket(h.edge.port, "/ws/quote/v1");
  raws.push(raw);
  raw.socket.write(clientFrame(1, '{"id":1,"op":"subscribe","channels":["a@trade"]}'));
  await until(() => raw.text().includes('"ok":true'), "it has joined");
  raw.socket.pause();
  return raw;
}

const seqsOf = (raw: RawSocket): number[] =>
  serverFrames(raw)
    .filter(({ opcode }) => opcode === 1)
    .map(({ payload }) => JSON.parse(payload.toString()) as { type?: string; seq?: number })
    .filter(({ type }) => type === "items")
    .map(({ seq }) => seq ?? 0);
const PAD = `,"${"x".repeat(20_000)}"`;

test("slow sockets - a burst too fast for the policy is Bun's to close, and counted 4008 all the same", async () => {
  h = await harness({ limits: { outboxBytesHigh: 64 * 1024, outboxBytesMax: 512 * 1024 } });
  await stopped();
  // All within one turn of the worker.
  for (let n = 0; n < 100; n++) h.engine.publish("a@trade", { pad: PAD, notify: n === 99 });
  await until(() => Object.keys(h.edge.counters().closes).length > 0, "it is closed");
  expect(h.edge.counters().closes).toEqual({ "4008": 1 });
});

test("slow sockets - what was in the outbox comes before the code, whole and in order, however long it takes", async () => {
  h = await harness({ limits: { outboxAgeMaxMs: 400 } });
  const raw = await stopped();
  for (let n = 0; n < 60; n++) h.engine.publish("a@trade", { pad: PAD });
  await until(() => h.edge.counters().closes["4008"] === 1, "it is closed");
  await until(() => h.edge.counters().outboxBytes > 0 && h.edge.counters().sessions === 0, "its outbox waits");
  // Nothing more is sent to it.
  const last = h.engine.publish("a@trade", { pad: PAD });
  // Bun itself would have thrown it away by now.
  await Bun.sleep(5000);
  expect([raw.socket.destroyed, h.edge.counters().outboxBytes > 0]).toEqual([false, true]);
  raw.socket.resume();
  await until(() => closeCode(raw) === 4008, "the code comes");
  const seqs = seqsOf(raw);
  expect(seqs).toEqual(Array.from({ length: 60 }, (_, at) => at + 1));
  expect(seqs).not.toContain(last);
  await until(() => h.edge.counters().outboxBytes === 0, "the outbox is empty");
});

test("slow sockets - who never reads is cut after closeLingerMs", async () => {
  h = await harness({ limits: { outboxAgeMaxMs: 400, closeLingerMs: 300 } });
  await stopped();
  for (let n = 0; n < 60; n++) h.engine.publish("a@trade", { pad: PAD });
  await until(() => h.edge.counters().slow.cutLate === 1, "it is cut");
  await until(() => h.edge.counters().outboxBytes === 0, "nothing waits");
  expect(h.edge.counters().closes).toEqual({ "4008": 1 });
});

test("slow sockets - a session that is closed for another reason gets its code behind what waits, too", async () => {
  h = await harness();
  const raw = await stopped();
  for (let n = 0; n < 60; n++) h.engine.publish("a@trade", { pad: PAD });
  await until(() => h.edge.counters().outboxBytes > 0, "its outbox waits");
  h.engine.control((topic) => ({ do: "closeTopic", topic, code: 1012, reason: "a reason" }), "a@trade");
  await until(() => h.edge.counters().sessions === 0, "the session is over");
  raw.socket.resume();
  await until(() => closeCode(raw) === 1012, "the code comes");
  expect(seqsOf(raw).length).toBe(60);
});

test("slow sockets - two workers share the node's bytes: the one with the largest outboxes sheds them, 4014", async () => {
  h = await harness({
    workers: 2,
    ringBytes: 16 * 1024 * 1024,
    limits: {
      outboxBytesHigh: 5_000_000,
      outboxBytesMax: 6_000_000,
      outboxBytesNodeMax: 6_000_000,
      outboxAgeMaxMs: 60_000,
    },
  });
  await stopped();
  await stopped();
  await stopped();
  for (let n = 0; n < 200; n++) h.engine.publish("a@trade", { pad: PAD });
  await until(
    () => (h.edge.counters().closes["4014"] ?? 0) > 0,
    () => `somebody is shed: ${JSON.stringify(h.edge.counters())}`,
  );
  await until(() => h.edge.counters().outboxBytes <= 6_000_000, "the node is within its bytes");
  expect(h.edge.counters().slow.shed).toBeGreaterThan(0);
});
