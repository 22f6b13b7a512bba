/** What the tests with a real Kafka share: topics, records and brokers of ours. */
import { Admin, Consumer, findErrorBy, Producer } from "@platformatic/kafka";
import type { BrokerTools } from "../../src/ingest/broker.ts";
import { KafkaBroker, type KafkaTimes } from "../../src/ingest/kafka/broker.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { waitFor } from "../lib/wait.ts";
import { KeptLog } from "./broker-rig.ts";

export { Followed, Kept, KeptLog, numbers, plainTopic, Running, textOf } from "./broker-rig.ts";

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

export interface Written {
  readonly topic: string;
  readonly partition?: number;
  readonly key?: string;
  readonly value: string | null;
}

/** A server that stood still for seconds is fenced off by its own controller until that hears of it again. */
function unlessFenced(error: unknown): false {
  if (findErrorBy(error as Error, "apiId", "INVALID_REPLICATION_FACTOR") !== null) return false;
  throw error;
}

/** Makes topics and writes records; survives restarts of the server. */
export class KafkaDesk {
  readonly admin: Admin;
  readonly producer: Producer;
  readonly #base: { readonly clientId: string; readonly bootstrapBrokers: string[] };
  readonly #place: { readonly host: string; readonly port: number };
  readonly #more: Producer[] = [];

  /** `server` is dialled whatever the brokers call themselves. */
  constructor(server: string, more: object = {}) {
    this.#base = { clientId: "desk", bootstrapBrokers: [server], ...{ retries: 400, retryDelay: 50 }, ...more };
    const [host, port] = server.split(":") as [string, string];
    this.#place = { host, port: Number(port) };
    this.admin = this.#redirected(new Admin(this.#base));
    this.producer = this.#producer({});
  }

  async topic(name: string, partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<void> {
    const list = Object.entries(configs).map(([key, value]) => ({ name: key, value }));
    const request = { topics: [name], partitions, replicas: 1, configs: list };
    await waitFor(() => this.admin.createTopics(request).then(() => true, unlessFenced), `topic ${name} is made`);
    await waitFor(async () => (await this.#known(name)) === partitions, `topic ${name} is there`);
  }

  async remove(name: string): Promise<void> {
    await this.admin.deleteTopics({ topics: [name] });
    await waitFor(async () => (await this.#known(name)) === 0, `topic ${name} is gone`);
  }

  async grow(name: string, count: number): Promise<void> {
    await this.admin.createPartitions({ topics: [{ name, count }] });
    await waitFor(async () => (await this.#known(name)) === count, `topic ${name} has ${count} partitions`);
    // It would write to those that it knows.
    await this.producer.metadata({ topics: [name], forceUpdate: true });
  }

  async write(records: readonly Written[], compression: Compression = "none"): Promise<void> {
    const messages = records.map(({ topic, partition = 0, key, value }) => ({
      topic,
      partition,
      ...(key === undefined ? {} : { key: Buffer.from(key) }),
      value: value === null ? (null as unknown as Buffer) : Buffer.from(value),
    }));
    await this.producer.send({ messages, compression, acks: -1 });
  }

  /** `count` records that are their own numbers. */
  async count(
    topic: string,
    count: number,
    first = 0,
    partition = 0,
    compression: Compression = "none",
  ): Promise<void> {
    const records = Array.from({ length: count }, (_, i) => ({ topic, partition, value: `${first + i}` }));
    await this.write(records, compression);
  }

  /** A producer of its own for transactions. */
  transactional(): Producer {
    const producer = this.#producer({ transactionalId: `desk-${Math.random()}` });
    this.#more.push(producer);
    return producer;
  }

  /** Headers of the first record of partition 0. */
  async headers(topic: string): Promise<Record<string, string>> {
    const consumer = this.#redirected(new Consumer({ ...this.#base, groupId: `desk-${Math.random()}` }));
    try {
      const { topics } = await consumer.metadata({ topics: [topic] });
      const { id, partitions } = topics.get(topic)!;
      const at = {
        partition: 0,
        fetchOffset: 0n,
        currentLeaderEpoch: -1,
        lastFetchedEpoch: -1,
        partitionMaxBytes: 1e6,
      };
      const node = partitions[0]!.leader;
      const wanted = { node, maxWaitTime: 500, minBytes: 1, maxBytes: 1e6, isolationLevel: 0 as const };
      const { responses } = await consumer.fetch({ ...wanted, topics: [{ topicId: id, partitions: [at] }] });
      const found = responses[0]?.partitions[0]?.records?.[0]?.records[0]?.headers ?? [];
      return Object.fromEntries(found.map(([name, value]) => [`${name}`, `${value}`]));
    } finally {
      await consumer.close();
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#more, this.producer, this.admin].map((one) => one.close()));
  }

  #producer(more: object): Producer {
    return this.#redirected(new Producer({ ...this.#base, autocreateTopics: false, idempotent: true, ...more }));
  }

  #redirected<T extends Admin | Producer | Consumer>(client: T): T {
    const { connections } = client;
    const get = connections.get.bind(connections) as (...of: unknown[]) => never;
    connections.get = (_broker: unknown, ...rest: unknown[]) => get(this.#place, ...rest);
    return client;
  }

  async #known(name: string): Promise<number> {
    try {
      const { topics } = await this.admin.metadata({ topics: [name], forceUpdate: true, retries: 0 });
      return topics.get(name)?.partitionsCount ?? 0;
    } catch {
      return 0;
    }
  }
}

export interface Properties {
  readonly [name: string]: unknown;
}

/** Asks often, gives up early. */
export const QUICK: Properties = {
  "metadata.max.age.ms": 300,
  "request.timeout.ms": 1500,
  "fetch.max.wait.ms": 200,
  "socket.connection.setup.timeout.ms": 2000,
  "auto.offset.reset": "earliest",
};

export const QUICK_TIMES: KafkaTimes = { endsMs: 200, stallMs: 1000, commitMs: 100 };

export function toolsOf(server: string, properties: Properties = {}, more: Partial<BrokerTools> = {}): BrokerTools {
  return {
    name: "k",
    properties: { "bootstrap.servers": server, ...QUICK, ...properties },
    clock: systemClock(),
    random: Math.random,
    log: new KeptLog(),
    resolveAddress: (hostPort) => hostPort,
    ...more,
  };
}

export const brokerOf = (
  server: string,
  properties: Properties = {},
  more: Partial<BrokerTools> = {},
  times: KafkaTimes = QUICK_TIMES,
): KafkaBroker => new KafkaBroker(toolsOf(server, properties, more), times);
