/**
 * The iterator behind one `for await` loop over a subscription.
 *
 * On the path: stream -> queue -> UPDATES -> consumer.
 * Invariants: what came before the end can still be taken; after the end a refusal is thrown once, then it is done.
 * At the limit: see queues.ts. There is no back-pressure: a WebSocket cannot be told to wait, and the node must not.
 */
import type { Gap } from "./events.ts";
import type { DataPush } from "./frames.ts";
import type { Queue } from "./queues.ts";
import type { AnyUpdate } from "./subscription.ts";

type Result = IteratorResult<AnyUpdate, undefined>;

interface Waiting {
  resolve(result: Result): void;
  reject(error: Error): void;
}

export class Updates implements AsyncIterator<AnyUpdate, undefined> {
  readonly #forget: (updates: Updates) => void;
  /** Null until the first data says what kind of channel it is. */
  #queue: Queue | null;
  readonly #waiting: Waiting[] = [];
  #end: "open" | "done" | Error = "open";

  constructor(queue: Queue | null, forget: (updates: Updates) => void) {
    this.#queue = queue;
    this.#forget = forget;
  }

  // --- what the stream says -------------------------------------------------------------------------------------------

  /** What kind of channel it is. */
  adopt(make: () => Queue): void {
    this.#queue ??= make();
  }

  data(push: DataPush): void {
    this.#queue?.data(push);
    this.#serve();
  }

  gap(gap: Gap): void {
    this.#queue?.gap(gap);
    this.#serve();
  }

  changed(): void {
    this.#queue?.changed();
    this.#serve();
  }

  /** Nothing more will come. */
  finish(error: Error | null): void {
    if (this.#end === "open") this.#end = error ?? "done";
    this.#serve();
  }

  // --- what the consumer asks -----------------------------------------------------------------------------------------

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#serve();
    });
  }

  return(): Promise<Result> {
    this.#forget(this);
    this.#queue = null;
    this.#end = "done";
    this.#serve();
    return Promise.resolve({ done: true, value: undefined });
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      const value = this.#queue?.take() ?? null;
      if (value === null && this.#end === "open") return;
      const waiting = this.#waiting.shift();
      if (value !== null) waiting?.resolve({ done: false, value });
      else if (typeof this.#end === "string") waiting?.resolve({ done: true, value: undefined });
      else {
        waiting?.reject(this.#end);
        this.#end = "done";
      }
    }
  }
}
