/**
 * Writes markets to real brokers at a steady rate: some symbols to a Kafka topic, each always to one partition, the others
 * to NATS, a subject each.
 *
 * Invariants: a record is in its Kafka partition exactly once, whatever happens to the broker: after a failed request the
 * partition's end tells whether it was written. What NATS loses while it is down is lost, as core NATS does.
 * At the limit: while so many records wait for Kafka, no more are made for it.
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Consumer, ListOffsetTimestamps, ProduceAcks, Producer, stringSerializers } from "@platformatic/kafka";
import { SymbolMarket } from "./market.ts";

const TICK_MS = 5;
const WAITING_MAX = 200_000;
const BATCH_MAX = 2000;
const RETRY_MS = 100;

export interface ProducerOptions {
  readonly kafka: string;
  readonly nats: string;
  readonly topic: string;
  readonly partitions: number;
  readonly kafkaSymbols: readonly string[];
  readonly natsSymbols: readonly string[];
  /** Records per second, of all symbols together. */
  readonly rate: number;
  readonly seed: number;
}

/** Each symbol's seed, also for its twin. */
export const seedOf = (seed: number, symbol: string): number => (seed + Bun.hash.xxHash32(symbol)) >>> 0;

interface Lane {
  readonly partition: number;
  waiting: string[];
  /** Records that the partition holds. */
  written: bigint;
}

export class MarketProducer implements AsyncDisposable {
  /** Records made. */
  records = 0;
  /** Requests to Kafka that failed. */
  failures = 0;
  readonly markets = new Map<string, SymbolMarket>();
  readonly #options: ProducerOptions;
  readonly #nats: NatsConnection;
  readonly #lanes: Lane[];
  readonly #stopped = new AbortController();
  #paused = false;
  #work: Promise<unknown> = Promise.resolve();
  #producer: Producer<string, string, string, string> | null = null;

  private constructor(options: ProducerOptions, nats: NatsConnection) {
    this.#options = options;
    this.#nats = nats;
    this.#lanes = Array.from({ length: options.partitions }, (_, partition) => ({
      partition,
      waiting: [],
      written: 0n,
    }));
    for (const symbol of [...options.kafkaSymbols, ...options.natsSymbols])
      this.markets.set(symbol, new SymbolMarket(symbol, seedOf(options.seed, symbol)));
  }

  static async start(options: ProducerOptions): Promise<MarketProducer> {
    const nats = await connect({ servers: options.nats, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const producer = new MarketProducer(options, nats);
    producer.#work = Promise.all([producer.#make(), producer.#write()]);
    return producer;
  }

  /** No more records until `resume`; settles when all that were made are in the brokers. */
  async pause(): Promise<void> {
    this.#paused = true;
    while (this.waiting > 0) await Bun.sleep(TICK_MS);
    await this.#nats.flush();
  }

  resume(): void {
    this.#paused = false;
  }

  get waiting(): number {
    return this.#lanes.reduce((sum, { waiting }) => sum + waiting.length, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#work;
    await this.#closeProducer();
    await this.#nats.close();
  }

  async #make(): Promise<void> {
    const { rate, kafkaSymbols, natsSymbols, partitions } = this.#options;
    const places = [
      ...kafkaSymbols.map((symbol, at) => ({ market: this.markets.get(symbol)!, lane: this.#lanes[at % partitions]! })),
      ...natsSymbols.map((symbol) => ({ market: this.markets.get(symbol)!, lane: null })),
    ];
    let next = 0;
    let lastMs = performance.now();
    let due = 0;
    while (!this.#stopped.signal.aborted) {
      const now = performance.now();
      const time = Date.now();
      due = this.#paused ? 0 : due + ((now - lastMs) * rate) / 1000;
      lastMs = now;
      for (; due >= 1; due--) {
        const { market, lane } = places[next++ % places.length]!;
        if (lane !== null && lane.waiting.length > WAITING_MAX / partitions) continue;
        this.records++;
        const record = market.next(time);
        if (lane === null) this.#nats.publish(`${this.#options.topic}.${market.symbol}`, record);
        else lane.waiting.push(record);
      }
      await Bun.sleep(TICK_MS);
    }
  }

  async #write(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const batches = this.#lanes.flatMap((lane) => {
        const records = lane.waiting.slice(0, BATCH_MAX);
        return records.length === 0 ? [] : [{ lane, records }];
      });
      if (batches.length === 0) {
        await Bun.sleep(TICK_MS);
        continue;
      }
      if (await this.#send(batches)) for (const { lane, records } of batches) taken(lane, records.length);
      else await this.#learn();
    }
  }

  async #send(batches: readonly { lane: Lane; records: string[] }[]): Promise<boolean> {
    const { topic, kafka } = this.#options;
    this.#producer ??= new Producer({
      clientId: "market",
      bootstrapBrokers: [kafka],
      serializers: stringSerializers,
      retries: 0,
      connectTimeout: 1000,
      requestTimeout: 5000,
    });
    const messages = batches.flatMap(({ lane, records }) =>
      records.map((value) => ({ topic, partition: lane.partition, value })),
    );
    try {
      await this.#producer.send({ messages, acks: ProduceAcks.ALL });
      return true;
    } catch {
      // Whatever it was, the partitions' ends tell what was written.
      this.failures++;
      return false;
    }
  }

  /** After a failure: how far each partition has come. Tried until Kafka answers. */
  async #learn(): Promise<void> {
    await this.#closeProducer();
    const { topic, kafka, partitions } = this.#options;
    while (!this.#stopped.signal.aborted) {
      const consumer = new Consumer({
        clientId: "market",
        groupId: "market",
        bootstrapBrokers: [kafka],
        retries: 0,
        connectTimeout: 1000,
        requestTimeout: 3000,
      });
      try {
        const ends = await consumer.listOffsets({
          topics: [topic],
          partitions: { [topic]: Array.from({ length: partitions }, (_, at) => at) },
          timestamp: ListOffsetTimestamps.LATEST,
        });
        for (const lane of this.#lanes) {
          const end = ends.get(topic)?.[lane.partition] ?? lane.written;
          taken(lane, Number(end - lane.written));
        }
        return;
      } catch {
        // Not there yet.
        this.failures++;
        await Bun.sleep(RETRY_MS);
      } finally {
        await consumer.close(true).catch(() => undefined);
      }
    }
  }

  async #closeProducer(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    // One whose connection is broken may fail to close.
    await producer?.close().catch(() => undefined);
  }
}

function taken(lane: Lane, count: number): void {
  lane.waiting = lane.waiting.slice(count);
  lane.written += BigInt(count);
}
