/**
 * Writes records that a mapper could not read to the dead-letter topic, with their place and the reason as headers.
 *
 * Beside the path: source -> DEAD LETTERS -> Kafka. Invariants: `add` never throws and never waits; one request at a time.
 * At the limit: with WAITING_MAX waiting, further ones are dropped and counted. While the topic is missing or cannot be
 * written, they wait, and the reason is told.
 */
import type { MessageRecord } from "@platformatic/kafka";
import { createBackoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Outage } from "../../lib/outage.ts";
import { sleep } from "../wait.ts";
import { Wake } from "../wake.ts";
import type { Cluster } from "./cluster.ts";
import { topicFault } from "./faults.ts";
import type { KafkaRecord } from "./record.ts";

export const WAITING_MAX = 1000;
const BATCH = 100;
/** A record is copied when it is kept: its view would hold all that was fetched with it. */
const VALUE_BYTES_MAX = 900_000;

interface Letter {
  readonly record: KafkaRecord;
  readonly reason: string;
}

export interface DeadLetterPorts {
  readonly topic: string;
  readonly cluster: Pick<Cluster, "topics" | "produce">;
  readonly clock: Clock;
  readonly random: () => number;
  readonly outage: Outage;
}

export class DeadLetters {
  readonly #ports: DeadLetterPorts;
  readonly #wake = new Wake();
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #waiting: Letter[] = [];
  #fault: string | null = null;
  #written = 0;
  #dropped = 0;
  #errors = 0;
  #turn = 0;

  constructor(ports: DeadLetterPorts) {
    this.#ports = ports;
    this.#running = this.#run();
  }

  /** Why nothing can be written; null if all is well. */
  get fault(): string | null {
    return this.#fault;
  }

  get counts(): { readonly written: number; readonly dropped: number; readonly errors: number } {
    return { written: this.#written, dropped: this.#dropped, errors: this.#errors };
  }

  add(record: KafkaRecord, reason: string): void {
    if (this.#waiting.length >= WAITING_MAX || record.value.length > VALUE_BYTES_MAX) {
      this.#dropped++;
      return;
    }
    this.#waiting.push({ record: record.copy(), reason });
    this.#wake.call();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#wake.call();
    await this.#running;
    this.#dropped += this.#waiting.length;
  }

  async #run(): Promise<void> {
    const { clock, random, outage } = this.#ports;
    const { signal } = this.#abort;
    const backoff = createBackoff(500, 10_000, random);
    while (!signal.aborted) {
      if (this.#waiting.length === 0) {
        await this.#wake.wait();
        continue;
      }
      const letters = this.#waiting.slice(0, BATCH);
      try {
        await this.#write(letters);
        this.#waiting = this.#waiting.slice(letters.length);
        this.#written += letters.length;
        this.#fault = null;
        outage.worked();
        backoff.reset();
      } catch (error) {
        this.#errors++;
        this.#fault = error instanceof Error ? error.message : String(error);
        outage.failed(error, { waiting: this.#waiting.length });
        await sleep(clock, backoff.next(), signal);
      }
    }
  }

  async #write(letters: readonly Letter[]): Promise<void> {
    const { cluster, topic } = this.#ports;
    const { topics, address } = await cluster.topics([topic]);
    const view = topics.get(topic);
    const fault = topicFault(topic, view?.errorCode ?? 3, address);
    if (fault !== null) throw new GatewayError("BROKER", fault.replace("source_topic", "dead.letter.topic"));
    const partitions = view?.partitions.filter(({ leader }) => leader >= 0) ?? [];
    const chosen = partitions[this.#turn++ % Math.max(1, partitions.length)];
    if (chosen === undefined) throw new GatewayError("BROKER", `topic "${topic}" has no leader at the moment`);
    await cluster.produce(
      chosen.leader,
      letters.map(({ record, reason }) => messageOf(topic, chosen.index, record, reason)),
    );
  }
}

function messageOf(topic: string, partition: number, record: KafkaRecord, reason: string): MessageRecord {
  const text = (value: string | number): Buffer => Buffer.from(String(value));
  const headers = new Map<Buffer, Buffer>([
    [text("tidegate.topic"), text(record.topic)],
    [text("tidegate.partition"), text(record.partition)],
    [text("tidegate.offset"), text(record.offset)],
    [text("tidegate.reason"), text(reason)],
  ]);
  const key = record.keyBytes === null ? {} : { key: record.keyBytes };
  return { topic, partition, value: Buffer.from(record.value), headers, ...key };
}
