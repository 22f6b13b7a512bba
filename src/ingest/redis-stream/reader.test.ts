import { expect, test } from "bun:test";
import { GatewayError } from "../../lib/errors.ts";
import { createFakeClock, nextTurn } from "../../lib/fake-clock.ts";
import type { RecordSink, SourceRecord } from "../source.ts";
import { RecordingLog } from "../testing/rig.ts";
import { Reader, type StreamConnection } from "./reader.ts";
import { Reading } from "./reading.ts";

const bytes = (text: string): Buffer => Buffer.from(text);

/** A stream with entries `1-0` to `<last>-0`, on a connection that does as told. */
class Scripted implements StreamConnection {
  last = 0;
  /** XREAD gives nothing, whatever there is. */
  isMute = false;
  error: GatewayError | null = null;
  readonly asked: string[] = [];
  readonly counts: number[] = [];
  closed = false;

  async call(_command: string, [, key = ""]: readonly unknown[]): Promise<unknown> {
    this.asked.push(`XINFO ${key}`);
    await nextTurn();
    if (this.error !== null) throw this.error;
    const newest = this.last === 0 ? null : [`${this.last}-0`, []];
    const oldest = this.last === 0 ? null : ["1-0", []];
    return ["length", this.last, "last-generated-id", `${this.last}-0`, "entries-added", this.last]
      .concat(["max-deleted-entry-id", "0-0"])
      .concat(["first-entry", oldest, "last-entry", newest] as never[]);
  }

  async callBytes(_command: string, args: readonly unknown[]): Promise<unknown> {
    this.counts.push(Number(args[1]));
    const behind = Number(String(args.at(-1)).split("-")[0]);
    this.asked.push(`XREAD ${args.slice(args.indexOf("STREAMS") + 1).join(" ")}`);
    await nextTurn();
    if (this.error !== null) throw this.error;
    if (this.isMute || behind >= this.last) return null;
    const entries = Array.from({ length: this.last - behind }, (_, at) => [
      bytes(`${behind + 1 + at}-0`),
      [bytes("data"), bytes(`${behind + 1 + at}`)],
    ]);
    return [[bytes("key"), entries]];
  }

  close(): void {
    this.closed = true;
  }
}

function rig(script: Scripted, sink?: Partial<RecordSink>) {
  const clock = createFakeClock();
  const log = new RecordingLog();
  const records: SourceRecord[] = [];
  const connections: Scripted[] = [];
  const counts = { records: 0, deleted: 0, reset: 0, trimmed: 0, unknownPlaces: 0, stalled: 0 };
  const failures: unknown[] = [];
  const reading = new Reading({
    ...{ key: "key", from: null, position: null, field: null, start: "earliest", source: "redis", clock, log, counts },
    sink: { accept: (record) => void records.push(record), busy: () => null, ...sink },
    failed: (error) => void failures.push(error),
  });
  const reader = new Reader({
    ...{ source: "redis", count: 100, clock, random: () => 0.5, log },
    connect() {
      connections.push(script);
      script.closed = false;
      return Promise.resolve(script);
    },
  });
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 100) {
      clock.advance(100);
      for (let turns = 0; turns < 10; turns++) await nextTurn();
    }
  };
  return { clock, log, records, connections, counts, failures, reading, reader, pass };
}

test("reader - a stream that grows while reading gives nothing is found out, told, and read over another connection", async () => {
  const script = new Scripted();
  const one = rig(script);
  one.reader.add(one.reading);
  script.last = 2;
  await one.pass(1500);
  expect(one.records).toHaveLength(2);
  script.isMute = true;
  script.last = 5;
  await one.pass(1500);
  expect(one.connections).toHaveLength(1);
  await one.pass(2500);
  expect(one.connections.length).toBeGreaterThan(1);
  expect(one.log.lines.some(({ fields }) => JSON.stringify(fields).includes("has entries behind 2-0"))).toBe(true);
  expect(one.counts.stalled).toBeGreaterThanOrEqual(3);
  script.isMute = false;
  await one.pass(4000);
  expect(one.records).toHaveLength(5);
  expect(one.reader.state).toEqual({ name: "connected" });
  one.reader.remove(one.reading);
  await one.reader.close();
  expect(script.closed).toBe(true);
});

test("reader - what does not come in time is asked for in smaller parts, then in larger ones again", async () => {
  const script = new Scripted();
  const one = rig(script);
  const counts = (): number[] => script.counts.splice(0);
  one.reader.add(one.reading);
  await one.pass(300);
  expect(new Set(counts())).toEqual(new Set([100]));
  script.error = new GatewayError("REDIS_TIMEOUT", "no answer");
  await one.pass(3000);
  script.error = null;
  counts();
  await one.pass(3000);
  expect(counts()[0]).toBeLessThan(100);
  for (let more = 0; more < 30; more++) {
    script.last++;
    await one.pass(100);
  }
  expect(counts().at(-1)).toBe(100);
  one.reader.remove(one.reading);
  await one.reader.close();
});

test("reader - a busy sink leaves its entries in Redis, and is asked again when it says so", async () => {
  const script = new Scripted();
  let busy: PromiseWithResolvers<void> | null = Promise.withResolvers();
  const one = rig(script, { busy: () => busy?.promise ?? null });
  script.last = 3;
  one.reader.add(one.reading);
  await one.pass(2000);
  expect(one.records).toHaveLength(0);
  expect(script.asked.filter((text) => text.startsWith("XREAD"))).toHaveLength(0);
  const waiting = busy;
  busy = null;
  waiting.resolve();
  await one.pass(100);
  expect(one.records).toHaveLength(3);
  one.reader.remove(one.reading);
  await one.reader.close();
});

test("reader - a key added at any moment while the loop ends is read", async () => {
  for (let moments = 0; moments < 12; moments++) {
    const script = new Scripted();
    script.last = 3;
    const [first, second] = [rig(script, { busy: () => new Promise(() => undefined) }), rig(script)];
    first.reader.add(first.reading);
    await first.pass(100);
    first.reader.remove(first.reading);
    for (let moment = 0; moment < moments; moment++) await Promise.resolve();
    first.reader.add(second.reading);
    await first.pass(100);
    expect([moments, second.records.length]).toEqual([moments, 3]);
    first.reader.remove(second.reading);
    await first.reader.close();
  }
});

test("reader - a sink that throws fails its own run; errors of the server are the connection's", async () => {
  const script = new Scripted();
  const one = rig(script, {
    accept() {
      throw new GatewayError("CHECKPOINT_STORE", "too much is held");
    },
  });
  script.last = 3;
  one.reader.add(one.reading);
  await one.pass(500);
  expect(one.failures).toMatchObject([{ code: "CHECKPOINT_STORE" }]);
  script.error = new GatewayError("REDIS_LOADING", "it is still loading its data");
  await one.pass(500);
  expect(one.reader.state).toMatchObject({ name: "connecting", error: "it is still loading its data" });
  script.error = null;
  await one.pass(4000);
  expect(one.reader.state).toEqual({ name: "connected" });
  one.reader.remove(one.reading);
  await one.reader.close();
});
