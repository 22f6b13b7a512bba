/**
 * Interest: the subjects this node is subscribed to on the server, as many as there are topics wanted here.
 *
 * On the path: connection -> INTEREST -> reader. Invariants: one subscription per subject however many want it; on each
 * new connection all are made again; nothing is handed on for a subject that was left.
 */
import type { NatsConnection, Subscription } from "@nats-io/transport-node";

interface Wanted {
  readonly receive: (bytes: Uint8Array) => void;
  wants: number;
  subscription: Subscription | null;
}

export class Interest {
  readonly #subjects = new Map<string, Wanted>();
  readonly #failed: (error: unknown) => void;
  #connection: NatsConnection | null = null;

  /** `failed`: a receiver threw, or the server refuses a subject. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  get size(): number {
    return this.#subjects.size;
  }

  up(connection: NatsConnection): void {
    this.#connection = connection;
    for (const [subject, wanted] of this.#subjects) this.#subscribe(connection, subject, wanted);
  }

  down(): void {
    this.#connection = null;
    for (const wanted of this.#subjects.values()) wanted.subscription = null;
  }

  /** Of those who want a subject the first one's `receive` is called. */
  enter(subject: string, receive: (bytes: Uint8Array) => void): void {
    const known = this.#subjects.get(subject);
    if (known !== undefined) {
      known.wants++;
      return;
    }
    const wanted: Wanted = { receive, wants: 1, subscription: null };
    this.#subjects.set(subject, wanted);
    if (this.#connection?.isClosed() === false) this.#subscribe(this.#connection, subject, wanted);
  }

  /** True if nobody here wants it any more. */
  leave(subject: string): boolean {
    const wanted = this.#subjects.get(subject);
    if (wanted === undefined || --wanted.wants > 0) return false;
    this.#subjects.delete(subject);
    wanted.subscription?.unsubscribe();
    return true;
  }

  #subscribe(connection: NatsConnection, subject: string, wanted: Wanted): void {
    wanted.subscription = connection.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null) this.#failed(error);
        if (error !== null || wanted.wants === 0) return;
        // An error must not reach the library: it would stop reading for good.
        try {
          wanted.receive(message.data);
        } catch (thrown) {
          this.#failed(thrown);
        }
      },
    });
  }
}
