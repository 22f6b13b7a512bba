/** What a watch says of an outbox that the test fills and drains itself. */
import { expect, test } from "bun:test";
import type { Stream } from "../hub.ts";
import { Session, type Wire } from "../session/session.ts";
import { Watch } from "./watch.ts";

const streamOf = (bytes = 0): Stream => ({ bytes }) as Stream;

function watched(bytes: number, sinceMs: number, nowMs: number, streams: Stream[]) {
  const session = new Session({} as Wire, [], 0);
  session.streams.push(...streams);
  const watch = new Watch(session, bytes, sinceMs, nowMs, 1000);
  session.watch = watch;
  return watch;
}

test("watch - the age is that of the oldest byte that has not been sent", () => {
  const stream = streamOf(5_000_000);
  const watch = watched(1000, 0, 50, [stream]);
  expect([watch.bytes, watch.ageMs]).toEqual([1000, 50]);
  // 100 bytes every 50 ms, and nothing is sent.
  let outbox = 1000;
  for (let ms = 100; ms <= 500; ms += 50) {
    stream.bytes += 100;
    outbox += 100;
    watch.look(outbox, ms);
  }
  expect([watch.bytes, watch.ageMs]).toEqual([1900, 500]);
  // The first thousand bytes go, and then two of the hundreds: the rest was enqueued after 150 ms at the earliest.
  watch.look(900, 500);
  expect(watch.ageMs).toBe(450);
  watch.look(700, 500);
  expect(watch.ageMs).toBe(350);
  watch.look(0, 550);
  expect(watch.ageMs).toBe(0);
  // What comes after that is young again.
  stream.bytes += 300;
  watch.look(300, 600);
  expect(watch.ageMs).toBe(50);
});

test("watch - what is sent directly counts, streams that come and go count while they are there", () => {
  const [first, second] = [streamOf(100), streamOf(7000)];
  const watch = watched(10, 0, 50, [first]);
  watch.sent(500);
  expect(watch.bytesMax).toBe(510);
  watch.joined(second);
  watch.session.streams.push(second);
  expect(watch.bytesMax).toBe(510);
  second.bytes += 40;
  expect(watch.bytesMax).toBe(550);
  watch.left(second);
  watch.session.streams.pop();
  second.bytes += 4000;
  expect(watch.bytesMax).toBe(550);
  watch.leftOut.set(first, { epoch: "e", seq: 1, items: 0, laps: 0, asked: false });
  watch.left(first);
  first.bytes += 9;
  expect(watch.bytesMax).toBe(550);
});

test("watch - its memory is bounded; what it forgets makes the age higher, never lower", () => {
  const stream = streamOf();
  const watch = watched(10, 0, 50, [stream]);
  let outbox = 10;
  for (let ms = 100; ms <= 20_000; ms += 50) {
    stream.bytes += 10;
    outbox += 10;
    watch.look(outbox, ms);
    expect(watch.ageMs).toBe(ms);
  }
  // Half of it was enqueued in the last half of the time.
  watch.look(outbox / 2, 20_000);
  expect(watch.ageMs).toBeGreaterThanOrEqual(10_000);
});

test("watch - bytes that nobody counted make the age higher, never lower", () => {
  const stream = streamOf();
  const watch = watched(1000, 0, 50, [stream]);
  stream.bytes += 10;
  watch.look(1500, 100);
  expect(watch.ageMs).toBe(100);
});
