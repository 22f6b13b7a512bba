/** A ring writer that wakes the readers once per turn, in a microtask after everything the turn wrote. */
import type { RecordKind } from "../ring/messages.ts";
import type { RecordFields, RingWriter } from "../ring/ring.ts";

export class WakingRing implements RingWriter {
  readonly #ring: RingWriter;
  readonly #wake = () => {
    this.#armed = false;
    this.#ring.notify();
  };
  #armed = false;

  constructor(ring: RingWriter) {
    this.#ring = ring;
  }

  write(kind: RecordKind, fields: RecordFields, payload: string): void {
    this.#ring.write(kind, fields, payload);
    if (this.#armed) return;
    this.#armed = true;
    queueMicrotask(this.#wake);
  }

  notify(): void {
    this.#ring.notify();
  }

  get recordBytesMax(): number {
    return this.#ring.recordBytesMax;
  }

  get capacityBytes(): number {
    return this.#ring.capacityBytes;
  }

  get written(): number {
    return this.#ring.written;
  }

  lagBytes(): number {
    return this.#ring.lagBytes();
  }
}
