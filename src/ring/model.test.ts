/** The ring against a plain queue: whatever is written and read in any order, a reader gets exactly what it should. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { createRing } from "./layout.ts";
import { RecordKind } from "./messages.ts";
import { createRingReader } from "./reader.ts";
import type { RingReader, RingWriter } from "./ring.ts";
import { createRingWriter } from "./writer.ts";

const BYTES = 64 * 1024;
/** What the writer may claim ahead of its head: its step (1/16) and the largest record (1/8). */
const CLAIMED_BYTES_MAX = BYTES / 16 + BYTES / 8;

interface Written {
  /** DIRECT: for this worker only. */
  readonly worker: number | null;
  readonly seq: number;
  readonly text: string;
  /** Bytes written before and behind it. */
  readonly start: number;
  readonly end: number;
}

/** One reader and what the model says it will see. */
class Follower {
  readonly #queue: Written[] = [];
  /** End of the last record it got: it stands there or further on. */
  #standsAt = 0;
  laps = 0;
  constructor(
    readonly worker: number,
    readonly reader: RingReader,
  ) {}

  expectLater(written: Written): void {
    if (written.worker === null || written.worker === this.worker) this.#queue.push(written);
  }

  /** Reads once; false when there was nothing. */
  step(writer: RingWriter, visibleTo: number): boolean {
    const record = this.reader.read();
    if (record === "lapped") {
      expect(writer.written + CLAIMED_BYTES_MAX - this.#standsAt).toBeGreaterThan(BYTES);
      this.laps++;
      this.#queue.length = 0;
      this.#standsAt = visibleTo;
      return true;
    }
    const expected = this.#queue.shift();
    expect(record?.text).toBe(expected?.text);
    expect(record?.seq).toBe(expected?.seq);
    this.#standsAt = expected?.end ?? visibleTo;
    // What began over a capacity ago is overwritten: it must not have been handed out.
    if (expected !== undefined) expect(writer.written - expected.start).toBeLessThanOrEqual(BYTES);
    return record !== null;
  }
}

const sizes = () => fc.oneof(fc.nat(40), fc.nat(1100), fc.nat(8 * 1024 - 32));
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("write" as const), length: sizes(), wide: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("direct" as const), length: sizes(), worker: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("notify" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("read" as const), worker: fc.nat(1), count: fc.nat(12) }) },
);

test("ring - against a model: every record whole and in order, or lapped, and never without reason", () => {
  let laps = 0;
  let whole = 0;
  fc.assert(
    fc.property(fc.array(action, { minLength: 100, maxLength: 300 }), fc.nat(20_000), (actions, unitsBeforeWrap) => {
      const shared = createRing(BYTES, 2, { startUnits: 2 ** 32 - unitsBeforeWrap });
      const writer = createRingWriter(shared);
      const followers = [0, 1].map(
        (worker) => new Follower(worker, createRingReader(shared, worker, { startAt: "tail" })),
      );
      let hidden: Written[] = [];
      let visibleTo = 0;
      let seq = 0;
      const show = () => {
        for (const written of hidden) for (const follower of followers) follower.expectLater(written);
        hidden = [];
        visibleTo = writer.written;
      };
      for (const step of actions) {
        if (step.do === "notify") {
          writer.notify();
          show();
        } else if (step.do === "read") {
          const follower = followers[step.worker]!;
          for (let i = 0; i < step.count && follower.step(writer, visibleTo); i++) whole++;
        } else {
          const wide = step.do === "write" && step.wide;
          const text = wide ? "€".repeat(Math.floor(step.length / 3)) : String(seq % 10).repeat(step.length);
          const worker = step.do === "direct" ? step.worker : null;
          const start = writer.written;
          const kind = worker === null ? RecordKind.PUBLISH : RecordKind.DIRECT;
          writer.write(kind, { seq: ++seq, worker: worker ?? 0 }, text);
          hidden.push({ worker, seq, text, start, end: writer.written });
          // Over a quarter unseen, the writer shows what it has by itself.
          if (writer.written - visibleTo > BYTES / 4) show();
        }
      }
      laps += followers[0]!.laps + followers[1]!.laps;
    }),
    { numRuns: 300 },
  );
  expect(laps).toBeGreaterThan(20);
  expect(whole).toBeGreaterThan(1000);
});
