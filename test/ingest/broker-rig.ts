/** What the tests of brokers share, whichever broker it is: patterns, logs, sinks that keep everything, runs. */
import type { Broker, BrokerInput, BrokerRecord, TopicPattern } from "../../src/ingest/broker.ts";
import type { IngestLog } from "../../src/ingest/sampled-log.ts";
import type { RecordSink, Source, SourceRecord } from "../../src/ingest/source.ts";
import { waitFor } from "../lib/wait.ts";

export const plainTopic = (name: string): TopicPattern => ({
  text: name,
  symbolOf: (topic) => (topic === name ? "" : null),
  topics: () => [name],
});

/** A log that keeps its lines. */
export class KeptLog implements IngestLog {
  readonly lines: string[] = [];
  readonly #keep = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
    this.lines.push(`${level} ${message} ${Bun.inspect(fields ?? {}, { depth: 3 })}`);
  };
  readonly info = this.#keep("info");
  readonly warn = this.#keep("warn");
  readonly error = this.#keep("error");
}

/** Follows the inputs of a source topic. */
export class Followed {
  inputs: readonly BrokerInput[] = [];
  /** How often they were told. */
  times = 0;
  readonly #broker: Broker;

  constructor(broker: Broker, pattern: TopicPattern) {
    this.#broker = broker;
    broker.watch(pattern, (inputs) => {
      this.inputs = inputs;
      this.times++;
    });
  }

  /** Waits until there are so many. */
  async of(count: number): Promise<readonly BrokerInput[]> {
    await waitFor(
      () => this.inputs.length === count,
      () => `${count} inputs; there are ${this.inputs.length}: ${Bun.inspect(this.#broker.status())}`,
    );
    return this.inputs;
  }

  /** The one input there is to be. */
  async one(): Promise<BrokerInput> {
    return (await this.of(1))[0]!;
  }
}

/** A sink that keeps everything and can be busy. */
export class Kept implements RecordSink {
  readonly records: SourceRecord[] = [];
  #busy: PromiseWithResolvers<void> | null = null;

  accept(record: SourceRecord): void {
    this.records.push(record);
  }

  busy(): Promise<void> | null {
    return this.#busy?.promise ?? null;
  }

  pause(): void {
    this.#busy ??= Promise.withResolvers();
  }

  release(): void {
    this.#busy?.resolve();
    this.#busy = null;
  }

  /** Values of the data records as text, and the types of all others. */
  get told(): string[] {
    return this.records.map((record) => (record.type === "data" ? textOf(record.value) : record.type));
  }

  /** Values of the data records, as text. */
  get values(): string[] {
    return this.records.flatMap((record) => (record.type === "data" ? [textOf(record.value)] : []));
  }

  get offsets(): number[] {
    return this.records.map(({ offset }) => offset);
  }

  /** How many records of a type there are. */
  count(type: SourceRecord["type"]): number {
    return this.records.filter((record) => record.type === type).length;
  }
}

export const textOf = (value: unknown): string => Buffer.from((value as BrokerRecord).value).toString("utf8");

/** A source that runs until it is stopped. */
export class Running {
  readonly source: Source;
  readonly sink = new Kept();
  readonly ended: Promise<unknown>;
  readonly #abort = new AbortController();

  constructor(source: Source, from: number | null = null, position: string | null = null) {
    this.source = source;
    this.ended = source.run(this.sink, from, this.#abort.signal, position).catch((error: unknown) => error);
  }

  /** Waits until so many data records are there. */
  async has(count: number): Promise<void> {
    await waitFor(
      () => this.sink.values.length >= count,
      () => `${count} records; there are ${this.sink.values.length}, ${Bun.inspect(this.source.status())}`,
    );
  }

  /** Waits for a state of the source. */
  async is(state: "connected" | "connecting"): Promise<void> {
    await waitFor(
      () => this.source.status().state.name === state,
      () => `${state}: ${Bun.inspect(this.source.status())}`,
    );
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.ended;
  }
}

/** `first`, `first + 1`, ... as text. */
export const numbers = (count: number, first = 0): string[] => Array.from({ length: count }, (_, i) => `${first + i}`);
