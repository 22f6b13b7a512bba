import { expect, test } from "bun:test";
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import { BATCH_RECORDS, Pull, type PullRequest, type PullStart, parseReply } from "./pull.ts";

class Rig {
  readonly asked: PullRequest[] = [];
  readonly again: number[] = [];
  looks = 0;
  nowMs = 1000;
  readonly pull: Pull;

  constructor(start: Partial<PullStart> = {}) {
    this.pull = new Pull(
      {
        ask: (request) => this.asked.push(request),
        wake: () => undefined,
        look: () => this.looks++,
        again: (seq) => this.again.push(seq),
        nowMs: () => this.nowMs,
        wallUs: () => this.nowMs * 1000,
      },
      { delivered: 0, received: 0, bytes: 8_000_000, ...start },
    );
    this.pull.ask();
  }

  /** A record of the stream's number `seq`, the consumer's `consumerSeq`. */
  record(seq: number, consumerSeq = seq, pending = 0, bytes = 10): void {
    const reply = `$JS.ACK.S.C.1.${seq}.${consumerSeq}.1795321303824123456.${pending}`;
    this.pull.heard({ subject: "s", data: new Uint8Array(bytes), reply });
  }

  word(code: number, description = "", more: Readonly<Record<string, string>> = {}): void {
    const head = headers(code, description);
    for (const [name, value] of Object.entries(more)) head.set(name, value);
    this.pull.heard({ subject: "inbox", data: new Uint8Array(0), headers: head as MsgHdrs });
  }

  /** Numbers of all that waits. */
  taken(): number[] {
    const all: number[] = [];
    for (let next = this.pull.take(); next !== null; next = this.pull.take()) all.push(next.seq);
    return all;
  }
}

test("jetstream pull - what a reply says, also with domain and account", () => {
  const parsed = { seq: 22, consumerSeq: 3, timeMs: 1_795_321_303_824, pending: 5 };
  expect(parseReply("$JS.ACK.ORDERS.mine.1.22.3.1795321303824123456.5")).toEqual(parsed);
  expect(parseReply("$JS.ACK.hub.ACCHASH.ORDERS.mine.1.22.3.1795321303824123456.5.rand")).toEqual(parsed);
});

test("jetstream pull - jumps of the stream's numbers are normal, of the consumer's not: what came before is good", () => {
  const rig = new Rig();
  rig.record(5, 1);
  rig.record(900, 2);
  rig.record(1000, 4);
  rig.record(1001, 5);
  expect(rig.taken()).toEqual([5, 900]);
  expect([rig.pull.broken, rig.pull.gap]).toEqual(["records 3 to 3 of the consumer did not arrive", true]);
});

test("jetstream pull - a beat that knows of more than arrived breaks it; one that does not is a sign of life", () => {
  const rig = new Rig();
  rig.record(1);
  rig.nowMs += 3000;
  expect(rig.pull.silentMs).toBe(3000);
  rig.word(100, "Idle Heartbeat", { "Nats-Last-Consumer": "1" });
  expect([rig.pull.silentMs, rig.pull.idleMs, rig.pull.broken]).toEqual([0, 3000, null]);
  rig.word(100, "Idle Heartbeat", { "Nats-Last-Consumer": "3" });
  expect([rig.pull.broken, rig.pull.gap]).toEqual(["records 2 to 3 of the consumer did not arrive", true]);
});

test("jetstream pull - records that were read before are not given again", () => {
  const rig = new Rig({ received: 7 });
  for (const [seq, consumerSeq] of [
    [6, 1],
    [7, 2],
    [8, 3],
    [7, 4],
  ] as const)
    rig.record(seq, consumerSeq);
  expect(rig.taken()).toEqual([8]);
  expect(rig.again).toEqual([6, 7, 7]);
  expect(rig.pull.broken).toBeNull();
});

test("jetstream pull - a batch that ended is followed by the next; a record greater than a batch comes without its limit", () => {
  const rig = new Rig();
  rig.word(408, "Request Timeout");
  rig.word(409, "Message Size Exceeds MaxBytes");
  expect(rig.asked.map(({ max_bytes }) => max_bytes)).toEqual([8_000_000, 8_000_000, undefined]);
  rig.record(1);
  rig.word(409, "Batch Completed");
  expect(rig.asked.length).toBe(4);
  rig.word(409, "Consumer Deleted");
  expect(rig.pull.broken).toBe("the server says: 409 Consumer Deleted");
  expect(rig.asked.length).toBe(4);
  expect(rig.taken()).toEqual([1]);
});

test("jetstream pull - who does not take is not given more; after a while the stream is looked at first", () => {
  const rig = new Rig();
  for (let seq = 1; seq <= BATCH_RECORDS; seq++) rig.record(seq);
  expect([rig.asked.length, rig.pull.waiting, rig.pull.silentMs]).toEqual([1, BATCH_RECORDS, 0]);
  for (let i = 0; i < BATCH_RECORDS / 2; i++) rig.pull.take();
  expect([rig.asked.length, rig.looks]).toEqual([2, 0]);
  for (let seq = BATCH_RECORDS + 1; seq <= 2 * BATCH_RECORDS; seq++) rig.record(seq);
  rig.nowMs += 1000;
  expect(rig.taken().length).toBe(1.5 * BATCH_RECORDS);
  expect([rig.asked.length, rig.looks]).toEqual([2, 1]);
  rig.pull.goOn();
  expect(rig.asked.length).toBe(3);
  rig.pull.goOn();
  expect(rig.asked.length).toBe(3);
});

test("jetstream pull - few large records are enough to stop it", () => {
  const rig = new Rig();
  for (let seq = 1; seq <= 5; seq++) rig.record(seq, seq, 0, 1_000_000);
  rig.word(409, "Message Size Exceeds MaxBytes");
  expect(rig.asked.length).toBe(1);
  rig.pull.take();
  expect(rig.asked.length).toBe(2);
});

test("jetstream pull - the first jump is suspect until it is looked into; one that comes meanwhile is not forgotten", () => {
  const rig = new Rig({ received: 3 });
  rig.record(4, 1);
  expect(rig.pull.isSuspect).toBe(false);
  rig.record(9, 2);
  rig.record(20, 3);
  expect(rig.pull.takeSuspect()).toBe(4);
  rig.record(21, 4);
  expect(rig.pull.isSuspect).toBe(false);
  rig.record(30, 5);
  rig.pull.giveBack(null);
  expect(rig.pull.takeSuspect()).toBe(21);
  rig.record(40, 6);
  rig.pull.giveBack(21);
  expect(rig.pull.takeSuspect()).toBe(21);
});
