/** Outboxes on real sockets, with a scripted engine: what the kernel hides, what Bun closes, what is sent before a code. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { type Harness, type HarnessOptions, harness, until } from "./testing/harness.ts";
import { clientFrame, closeCode, type RawSocket, rawWebSocket, serverFrames } from "./testing/raw-socket.ts";

setDefaultTimeout(60_000);

/** Workers of their own, and clients that have stopped reading. */
class Place implements AsyncDisposable {
  readonly h: Harness;
  readonly #raws: RawSocket[] = [];

  private constructor(h: Harness) {
    this.h = h;
  }

  static async start(options?: HarnessOptions): Promise<Place> {
    return new Place(await harness(options));
  }

  /** A client on `a@trade` that has stopped reading. */
  async stopped(): Promise<RawSocket> {
    const raw = await rawWebSocket(this.h.edge.port, "/ws/quote/v1");
    this.#raws.push(raw);
    raw.socket.write(clientFrame(1, '{"id":1,"op":"subscribe","channels":["a@trade"]}'));
    await until(() => raw.text().includes('"ok":true'), "it has joined");
    raw.socket.pause();
    return raw;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.#raws) socket.destroy();
    await this.h.stop();
  }
}

const seqsOf = (raw: RawSocket): number[] =>
  serverFrames(raw)
    .filter(({ opcode }) => opcode === 1)
    .map(({ payload }) => JSON.parse(payload.toString()) as { type?: string; seq?: number })
    .filter(({ type }) => type === "items")
    .map(({ seq }) => seq ?? 0);
const PAD = `,"${"x".repeat(20_000)}"`;

// They wait for time to pass: together.
test.concurrent("slow sockets - a burst too fast for the policy is Bun's to close, and counted 4008 all the same", async () => {
  await using place = await Place.start({ limits: { outboxBytesHigh: 64 * 1024, outboxBytesMax: 512 * 1024 } });
  const { h } = place;
  await place.stopped();
  // All within one turn of the worker.
  for (let n = 0; n < 100; n++) h.engine.publish("a@trade", { pad: PAD, notify: n === 99 });
  await until(() => Object.keys(h.edge.counters().closes).length > 0, "it is closed");
  expect(h.edge.counters().closes).toEqual({ "4008": 1 });
});

test.concurrent("slow sockets - what was in the outbox comes before the code, whole and in order, however long it takes", async () => {
  await using place = await Place.start({ limits: { outboxAgeMaxMs: 400 } });
  const { h } = place;
  const raw = await place.stopped();
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

test.concurrent("slow sockets - who never reads is cut after closeLingerMs", async () => {
  await using place = await Place.start({ limits: { outboxAgeMaxMs: 400, closeLingerMs: 300 } });
  const { h } = place;
  await place.stopped();
  for (let n = 0; n < 60; n++) h.engine.publish("a@trade", { pad: PAD });
  await until(() => h.edge.counters().slow.cutLate === 1, "it is cut");
  await until(() => h.edge.counters().outboxBytes === 0, "nothing waits");
  expect(h.edge.counters().closes).toEqual({ "4008": 1 });
});

test.concurrent("slow sockets - a session that is closed for another reason gets its code behind what waits, too", async () => {
  await using place = await Place.start();
  const { h } = place;
  const raw = await place.stopped();
  for (let n = 0; n < 60; n++) h.engine.publish("a@trade", { pad: PAD });
  await until(() => h.edge.counters().outboxBytes > 0, "its outbox waits");
  h.engine.control((topic) => ({ do: "closeTopic", topic, code: 1012, reason: "a reason" }), "a@trade");
  await until(() => h.edge.counters().sessions === 0, "the session is over");
  raw.socket.resume();
  await until(() => closeCode(raw) === 1012, "the code comes");
  expect(seqsOf(raw).length).toBe(60);
});

test.concurrent("slow sockets - two workers share the node's bytes: the one with the largest outboxes sheds them, 4014", async () => {
  await using place = await Place.start({
    workers: 2,
    ringBytes: 16 * 1024 * 1024,
    limits: {
      outboxBytesHigh: 5_000_000,
      outboxBytesMax: 6_000_000,
      outboxBytesNodeMax: 6_000_000,
      outboxAgeMaxMs: 60_000,
    },
  });
  const { h } = place;
  await place.stopped();
  await place.stopped();
  await place.stopped();
  for (let n = 0; n < 200; n++) h.engine.publish("a@trade", { pad: PAD });
  await until(
    () => (h.edge.counters().closes["4014"] ?? 0) > 0,
    () => `somebody is shed: ${JSON.stringify(h.edge.counters())}`,
  );
  await until(() => h.edge.counters().outboxBytes <= 6_000_000, "the node is within its bytes");
  expect(h.edge.counters().slow.shed).toBeGreaterThan(0);
});
