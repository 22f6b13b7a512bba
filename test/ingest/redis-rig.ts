/** A redis-stream broker with one sink per key, for tests against a real server. */
import type { Broker, BrokerInput, BrokerRecord, BrokerTools, TopicPattern } from "../../src/ingest/broker.ts";
import { createRedisStreamBroker } from "../../src/ingest/redis-stream/mod.ts";
import type { RecordSink, Source, SourceRecord } from "../../src/ingest/source.ts";
import { RecordingLog } from "../../src/ingest/testing/rig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { topicOf } from "../lib/redis-driver.ts";
import { waitFor } from "../lib/wait.ts";

export interface RedisRig extends AsyncDisposable {
  readonly broker: Broker;
  readonly log: RecordingLog;
  /** What `watch` told last. */
  inputs(): readonly BrokerInput[];
  /** Runs the source of a key behind `last`. */
  run(key: string, last?: SourceRecord): Promise<KeyRun>;
}

export interface KeyRun {
  readonly source: Source;
  readonly records: readonly SourceRecord[];
  /** Texts of the data records, and `epoch` for each epoch. */
  said(): readonly string[];
  /** Settles when so many records are there. */
  reached(count: number): Promise<void>;
  stop(): Promise<void>;
}

export function redisRig(
  properties: Readonly<Record<string, unknown>>,
  topic: TopicPattern,
  more: Partial<BrokerTools> = {},
): RedisRig {
  const log = new RecordingLog();
  const broker = createRedisStreamBroker({
    name: "redis",
    properties,
    clock: systemClock(),
    random: Math.random,
    log,
    resolveAddress: (address) => address,
    ...more,
  });
  let inputs: readonly BrokerInput[] = [];
  const runs: KeyRun[] = [];
  broker.watch(topic, (found) => {
    inputs = found;
  });
  return {
    broker,
    log,
    inputs: () => inputs,
    async run(key, last) {
      await waitFor(
        () => inputs.some(({ id }) => id === key),
        () => `input ${key}`,
      );
      const run = keyRun(inputs.find(({ id }) => id === key)!.open(), last);
      runs.push(run);
      return run;
    },
    async [Symbol.asyncDispose]() {
      for (const run of runs) await run.stop();
      await broker.close();
    },
  };
}

/** A rig that watches these keys. */
export const keysRig = (
  url: string,
  keys: readonly string[],
  properties: Readonly<Record<string, unknown>> = {},
): RedisRig =>
  redisRig(
    { servers: [url], ...properties },
    topicOf("keys", () => keys),
  );

function keyRun(source: Source, last: SourceRecord | undefined): KeyRun {
  const records: SourceRecord[] = [];
  const sink: RecordSink = { accept: (record) => void records.push(record), busy: () => null };
  const abort = new AbortController();
  const running = source.run(sink, last?.offset ?? null, abort.signal, last?.position ?? null);
  return {
    source,
    records,
    said: () => records.map((one) => (one.type === "data" ? textOf(one.value) : one.type)),
    reached: (count) =>
      waitFor(
        () => records.length >= count,
        () => `${count} records, there are ${records.length}: ${JSON.stringify(source.status())}`,
      ),
    async stop() {
      abort.abort();
      await running;
    },
  };
}

const textOf = (value: unknown): string => new TextDecoder().decode((value as BrokerRecord).value);
