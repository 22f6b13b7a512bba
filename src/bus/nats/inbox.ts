/**
 * The inbox of the NATS bus: what comes on a subject, put together, read and judged, then handed to whoever listens there.
 *
 * On the path: connection -> interest -> INBOX -> bus. Invariant: what cannot be read goes no further; it is counted.
 */
import { GatewayError } from "../../lib/errors.ts";
import type { NatsBusCounters } from "./counters.ts";
import type { Interest } from "./interest.ts";
import { Whole } from "./parts.ts";
import type { Refusals } from "./refusals.ts";

export class Inbox {
  readonly #interest: Interest;
  readonly #counters: NatsBusCounters;
  readonly #refusals: Refusals;
  readonly #whole: Whole;
  #closed = false;

  constructor(interest: Interest, counters: NatsBusCounters, refusals: Refusals) {
    this.#interest = interest;
    this.#counters = counters;
    this.#refusals = refusals;
    this.#whole = new Whole(() => refusals.incomplete());
  }

  /** Of those who listen on a subject the first one's `take` is called; each leaves for itself. */
  listen<Frame>(
    subject: string,
    read: (bytes: Uint8Array) => Frame | GatewayError,
    take: (frame: Frame) => void,
  ): void {
    this.#interest.enter(subject, (bytes) => {
      if (this.#closed) return;
      this.#counters.messagesIn++;
      this.#counters.bytesIn += bytes.length;
      const whole = this.#whole.take(subject, bytes);
      if (whole === null) return;
      const frame = read(whole);
      if (frame instanceof GatewayError) this.#refusals.unreadable(frame);
      else take(frame);
    });
  }

  /** True if nobody listens there any more. */
  leave(subject: string): boolean {
    return !this.#closed && this.#interest.leave(subject);
  }

  /** The connection is gone: parts that are missing do not come any more. */
  down(): void {
    this.#whole.clear();
  }

  close(): void {
    this.#closed = true;
  }
}
