/**
 * Dead letters: records that a mapper could not use, published on a subject for people to look at.
 *
 * Beside the path: pipeline -> source -> DEAD LETTERS -> NATS. Invariants: never throws, never waits; the letter is the
 * record's own bytes, what is known of it stands in headers.
 * At the limit: without a connection, and beyond PER_SECOND, letters are left out and counted.
 */
import { headers, type NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "../../lib/clock.ts";
import { isBrokerRecord } from "../broker.ts";

const PER_SECOND = 1000;
const REASON_CHARS_MAX = 200;

export interface DeadLettersOptions {
  /** Null: there are none. */
  readonly subject: string | null;
  /** The data source. */
  readonly source: string;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly connection: () => NatsConnection | null;
}

export class DeadLetters {
  readonly #options: DeadLettersOptions;
  #sent = 0;
  #left = 0;
  #second = -1;
  #inSecond = 0;

  constructor(options: DeadLettersOptions) {
    this.#options = options;
  }

  /** What a source shows of it: nothing where there is no subject. */
  get counts(): Readonly<Record<string, number>> {
    return this.#options.subject === null ? {} : { "dead letters": this.#sent, "dead letters left out": this.#left };
  }

  send(value: unknown, reason: string): void {
    const { subject, source, connection } = this.#options;
    if (subject === null || !isBrokerRecord(value)) return;
    const nats = connection();
    if (nats === null || !this.#mayGo()) {
      this.#left++;
      return;
    }
    try {
      const head = headers();
      head.set("Tidegate-Reason", reason.replace(/[\r\n]+/g, " ").slice(0, REASON_CHARS_MAX));
      head.set("Tidegate-Source", source);
      head.set("Tidegate-Subject", value.topic);
      nats.publish(subject, value.value, { headers: head });
      this.#sent++;
    } catch {
      // The connection is closing: the same as none.
      this.#left++;
    }
  }

  #mayGo(): boolean {
    const second = Math.floor(this.#options.clock.monotonicMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    return ++this.#inSecond <= PER_SECOND;
  }
}
