import { expect, test } from "bun:test";
import { createFakeClock } from "../lib/fake-clock.ts";
import { RecordKind } from "../ring/messages.ts";
import { Snapshots } from "./snapshots.ts";
import { MemoryRing, Rig } from "./testing/rig.ts";
import { DEPTH, readyBook, TRADE, trades } from "./testing/words.ts";

const MIB = 1 << 20;

function stage() {
  const ring = new MemoryRing();
  const clock = createFakeClock();
  const snapshots = new Snapshots(clock, ring);
  const written: number[] = [];
  /** An answer of so many bytes; every reader has it before it until `lag` says otherwise. */
  const answer = (number: number, bytes: number) => () => {
    ring.write(RecordKind.DIRECT, {}, "x".repeat(bytes));
    ring.lag += bytes;
    written.push(number);
  };
  return { ring, clock, snapshots, written, answer };
}

test("snapshots - at most a MiB of answers lies before the slowest reader, the others wait in order", () => {
  const { ring, clock, snapshots, written, answer } = stage();
  for (let i = 0; i < 6; i++) snapshots.unpaced(answer(i, MIB / 2));
  expect(written).toEqual([0, 1]);
  expect(snapshots.held).toBe(4);
  clock.advance(100);
  expect(written).toEqual([0, 1]);
  // The reader has read the first: there is room for one.
  ring.lag -= MIB / 2;
  clock.advance(10);
  expect(written).toEqual([0, 1, 2]);
  ring.lag = 0;
  clock.advance(10);
  expect(written).toEqual([0, 1, 2, 3, 4]);
  ring.lag = 0;
  clock.advance(10);
  expect(written).toEqual([0, 1, 2, 3, 4, 5]);
  expect([snapshots.held, clock.pending]).toEqual([0, 0]);
});

test("snapshots - what others write does not count, until it is a quarter of the ring", () => {
  const { ring, clock, snapshots, written, answer } = stage();
  ring.lag = ring.capacityBytes / 4 - 1;
  snapshots.unpaced(answer(0, 10));
  expect(written).toEqual([0]);
  snapshots.unpaced(answer(1, 10));
  clock.advance(100);
  expect(written).toEqual([0]);
  ring.lag = 0;
  clock.advance(10);
  expect(written).toEqual([0, 1]);
});

test("snapshots - answers that take long let others have their turn", () => {
  const { clock, snapshots } = stage();
  // A clock that moves while an answer is made: each takes 3 ms.
  let ms = 0;
  const slow = { ...clock, monotonicMs: () => clock.monotonicMs() + ms };
  const ring = new MemoryRing();
  const paced = new Snapshots(slow, ring);
  const done: number[] = [];
  for (let i = 0; i < 5; i++)
    paced.unpaced(() => {
      ms += 3;
      done.push(i);
    });
  expect(done).toEqual([0, 1]);
  clock.advance(1);
  expect(done).toEqual([0, 1, 2, 3]);
  clock.advance(1);
  expect(done).toEqual([0, 1, 2, 3, 4]);
  expect(snapshots.held).toBe(0);
});

test("snapshots - a question asked again keeps its place and is answered once, under its last number", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.ready(TRADE, { seq: 3 });
  rig.publish(TRADE, 4, trades(4));
  const key = { channel: TRADE, rung: 0, dialect: "native", timeUnit: "ms" } as const;
  const since = { epoch: "e1", seq: 3 };
  rig.ring.lag = rig.ring.capacityBytes;
  rig.tell({ is: "join", request: 100, key, since });
  rig.tell({ is: "join", request: 101, key, since: null });
  rig.tell({ is: "join", request: 102, instead: 100, key, since });
  rig.tell({ is: "join", request: 103, instead: 102, key, since });
  rig.ring.lag = 0;
  rig.clock.advance(20);
  const answers = rig.ring.records.filter(({ kind, fields }) => kind === RecordKind.DIRECT && fields.request! >= 100);
  expect(answers.map(({ fields }) => fields.request)).toEqual([103, 101]);
  // Answered already: it is a new question.
  rig.tell({ is: "join", request: 104, instead: 103, key, since });
  expect(rig.answer(104)?.head).toMatchObject({ is: "joined", recovered: true });
});

test("snapshots - a resync that waits for its channel's turn may be asked again, and a dead worker's is forgotten", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  const topic = rig.topic(DEPTH, 0);
  rig.tell({ is: "resync", request: 100, topic });
  rig.tell({ is: "resync", request: 101, instead: 100, topic });
  rig.clock.advance(60);
  expect([rig.answers(100).length, rig.answers(101).length]).toEqual([0, 1]);
  rig.tell({ is: "resync", request: 200, topic });
  rig.engine.workerGone(0);
  rig.join(DEPTH);
  readyBook(rig);
  rig.tell({ is: "resync", request: 201, instead: 200, topic: rig.topic(DEPTH, 0) });
  rig.clock.advance(200);
  expect([rig.answers(200).length, rig.answers(201).length]).toEqual([0, 1]);
});
