/**
 * A broker inside the process: topics with partitions whose records stay, that can be away and come back.
 *
 * For tests of what is made of brokers. As a real one it finds inputs at run time, repeats records from any offset, tells
 * what is missing, and a topic that is made again is another incarnation.
 */
import type { Broker, BrokerInput, BrokerRecord, BrokerState, BrokerTools, Watch } from "../../ingest/broker.ts";
import type { RecordSink, Source, SourceState, SourceStatus } from "../../ingest/source.ts";
import { GatewayError } from "../../lib/errors.ts";

interface Partition {
  readonly records: BrokerRecord[];
}

/** The server: outlives the brokers (clients) of several nodes. */
export class MemoryServer {
  readonly topics = new Map<string, { readonly incarnation: string; readonly partitions: Partition[] }>();
  /** Offsets that were committed, by `topic/partition`. */
  readonly committed = new Map<string, number>();
  readonly deadLetters: { readonly value: unknown; readonly reason: string }[] = [];
  /** Sources that run, to be failed. */
  readonly faults = new Set<(error: GatewayError) => void>();
  #up = true;
  #made = 0;
  readonly #listeners = new Set<() => void>();

  get up(): boolean {
    return this.#up;
  }

  /** Makes a topic, or adds partitions to it. */
  topic(name: string, partitions = 1): void {
    const known = this.topics.get(name) ?? { incarnation: `made-${++this.#made}`, partitions: [] };
    while (known.partitions.length < partitions) known.partitions.push({ records: [] });
    this.topics.set(name, known);
    this.#changed();
  }

  remove(name: string): void {
    this.topics.delete(name);
    this.#changed();
  }

  /** Appends a record; objects as JSON. */
  produce(topic: string, value: unknown, partition = 0, key: string | null = null): void {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const records = this.topics.get(topic)?.partitions[partition]?.records;
    if (records === undefined) throw new Error(`no partition ${topic}/${partition}`);
    records.push({ topic, key, value: new TextEncoder().encode(text), time: null });
    this.#changed();
  }

  /** Every source that runs now fails for good. */
  fail(reason: string): void {
    for (const fault of [...this.faults]) fault(new GatewayError("MEMORY_SERVER", reason));
  }

  /** From now on nobody can reach it, or everybody can again. */
  set(up: boolean): void {
    this.#up = up;
    this.#changed();
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

export const createMemoryBroker =
  (server: MemoryServer) =>
  (tools: Pick<BrokerTools, "name" | "clock">): Broker =>
    new MemoryBroker(server, tools);

const AWAY = "connection refused";

class MemoryBroker implements Broker {
  readonly name: string;
  readonly #server: MemoryServer;
  readonly #tools: Pick<BrokerTools, "name" | "clock">;
  readonly #watches = new Set<{ look(): void; readonly missing: () => string[] }>();
  readonly #stop: () => void;

  constructor(server: MemoryServer, tools: Pick<BrokerTools, "name" | "clock">) {
    this.name = tools.name;
    this.#server = server;
    this.#tools = tools;
    this.#stop = server.listen(() => {
      for (const watch of [...this.#watches]) watch.look();
    });
  }

  watch(pattern: Parameters<Broker["watch"]>[0], changed: (inputs: readonly BrokerInput[]) => void): Watch {
    let told = "";
    const missing = () => pattern.topics().filter((topic) => !this.#server.topics.has(topic));
    const look = (): void => {
      if (!this.#server.up) return;
      const inputs = pattern.topics().flatMap((topic) => this.#inputs(topic));
      const text = inputs.map(({ id }) => id).join(" ");
      if (text === told) return;
      told = text;
      changed(inputs);
    };
    const watch = { look, missing };
    this.#watches.add(watch);
    look();
    return { close: () => void this.#watches.delete(watch) };
  }

  #inputs(topic: string): BrokerInput[] {
    const known = this.#server.topics.get(topic);
    return (known?.partitions ?? []).map((_, at) => ({
      id: `${topic}/${at}`,
      topic,
      open: () => new MemorySource(this.#server, topic, at, this.#tools),
    }));
  }

  status() {
    const state: BrokerState = this.#server.up
      ? { name: "connected" }
      : { name: "connecting", attempt: 1, retryAt: 0, error: AWAY };
    const missing = [...this.#watches].flatMap((watch) => watch.missing());
    return {
      name: this.name,
      type: "memory",
      state,
      missing: missing.map((topic) => ({ topic, reason: "does not exist" })),
    };
  }

  close(): Promise<void> {
    this.#stop();
    this.#watches.clear();
    return Promise.resolve();
  }
}

class MemorySource implements Source {
  readonly name: string;
  readonly replayable = true;
  readonly incarnation: string;
  readonly #server: MemoryServer;
  readonly #topic: string;
  readonly #partition: number;
  readonly #clock: BrokerTools["clock"];
  #state: SourceState = { name: "idle" };
  #records = 0;

  constructor(
    server: MemoryServer,
    topic: string,
    partition: number,
    { name, clock }: Pick<BrokerTools, "name" | "clock">,
  ) {
    this.name = name;
    this.#server = server;
    this.#topic = topic;
    this.#partition = partition;
    this.#clock = clock;
    this.incarnation = server.topics.get(topic)?.incarnation ?? "";
  }

  async run(sink: RecordSink, from: number | null, signal: AbortSignal): Promise<void> {
    let next = from === null ? 0 : from + 1;
    const take = (): void => {
      if (!this.#server.up) {
        this.#state = { name: "connecting", attempt: 1, retryAt: 0, error: AWAY };
        return;
      }
      this.#state = { name: "connected" };
      const records = this.#server.topics.get(this.#topic)?.partitions[this.#partition]?.records ?? [];
      for (; next < records.length && !signal.aborted; next++) {
        this.#records++;
        sink.accept({ type: "data", offset: next, receivedUs: this.#clock.wallUs(), value: records[next] });
      }
    };
    const stop = this.#server.listen(take);
    take();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
    this.#server.faults.add(reject);
    try {
      await promise;
    } finally {
      stop();
      this.#server.faults.delete(reject);
    }
  }

  commit(offset: number): void {
    this.#server.committed.set(`${this.#topic}/${this.#partition}`, offset);
  }

  deadLetter(value: unknown, reason: string): void {
    this.#server.deadLetters.push({ value, reason });
  }

  status(): SourceStatus {
    return { state: this.#state, lagMs: null, records: this.#records, reconnects: 0 };
  }
}
