/** What the Kafka benchmark writes into topics: canonical trades and books of numbered symbols, four partitions. */
import { Admin, Producer } from "@platformatic/kafka";

export const PARTITIONS = 4;
export const TRADES = "bench.trade";
export const DEPTH = "bench.depth";
const LEVELS = 20;
const CHUNK = 2000;

export const symbolOf = (at: number): string => `s${at}usdt`;

interface Message {
  readonly topic: string;
  readonly partition: number;
  readonly value: Buffer;
}

/** A trade whose id is the wall clock in microseconds when it is written. */
export function tradeOf(at: number, nowUs: number): Message {
  const price = (100 + (at % 50)).toFixed(2);
  const value = `{"symbol":"S${at}/USDT","id":"${nowUs}","price":"${price}","quantity":"0.5","side":"buy","time":${Math.floor(nowUs / 1000)}}`;
  return { topic: TRADES, partition: at % PARTITIONS, value: Buffer.from(value) };
}

export function snapshotOf(at: number): Message {
  const side = (sign: number): string[][] =>
    Array.from({ length: LEVELS }, (_, level) => [(1000 + sign * (level + 1) * 0.01).toFixed(2), `${level + 1}.5`]);
  const book = { symbol: `S${at}/USDT`, type: "snapshot", time: Date.now(), bids: side(-1), asks: side(1) };
  return { topic: DEPTH, partition: at % PARTITIONS, value: Buffer.from(JSON.stringify(book)) };
}

/** Two levels of a book change. */
export function deltaOf(at: number, turn: number): Message {
  const level = (turn % LEVELS) + 1;
  const bids = [[(1000 - level * 0.01).toFixed(2), `${turn % 97}.25`]];
  const asks = [[(1000 + level * 0.01).toFixed(2), `${turn % 89}.75`]];
  const book = { symbol: `S${at}/USDT`, type: "delta", time: Date.now(), bids, asks };
  return { topic: DEPTH, partition: at % PARTITIONS, value: Buffer.from(JSON.stringify(book)) };
}

export class BenchDesk {
  readonly #admin: Admin;
  readonly #producer: Producer;

  constructor(server: string) {
    const base = { clientId: "bench", bootstrapBrokers: [server], retries: 100, retryDelay: 50 };
    this.#admin = new Admin(base);
    this.#producer = new Producer({ ...base, idempotent: true });
  }

  async topics(): Promise<void> {
    await this.#admin.createTopics({ topics: [TRADES, DEPTH], partitions: PARTITIONS, replicas: 1 });
  }

  write(messages: Message[]): Promise<unknown> {
    return this.#producer.send({ messages, acks: -1 });
  }

  async fill(count: number, make: (at: number) => Message): Promise<void> {
    for (let first = 0; first < count; first += CHUNK) {
      const size = Math.min(CHUNK, count - first);
      await this.write(Array.from({ length: size }, (_, at) => make(first + at)));
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#producer.close(), this.#admin.close()]);
  }
}
