/**
 * What the program prints: text that stdout has not taken yet, and whether all of it arrived.
 *
 * Bun's own count of waiting bytes is always 0, and `process.exit` leaves out what waits; so both are kept here.
 * Invariant: at the end everything was taken, or `fault` says why not, or nobody wanted it.
 */
export interface TextStream {
  write(text: string, taken: (error?: Error | null) => void): unknown;
}

export class Stdout {
  readonly #stream: TextStream;
  #waiting = 0;
  #fault: string | null = null;
  #isAbandoned = false;
  #settle: (() => void) | null = null;

  constructor(stream: TextStream) {
    this.#stream = stream;
  }

  write(text: string): void {
    // Close enough to bytes for a bound.
    const { length } = text;
    this.#waiting += length;
    this.#stream.write(text, (error) => {
      this.#waiting -= length;
      // The reader of a pipe that went away (`| head`) has what it wanted.
      if (error && !("code" in error && error.code === "EPIPE")) this.#fault ??= error.message;
      if (this.#waiting === 0) this.#settle?.();
    });
  }

  get waitingBytes(): number {
    return this.#waiting;
  }

  /** Why something could not be written, such as a full disk; null: nothing went wrong. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Nobody waits for what was not taken yet: its reader does not read, or the user wants the end. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#settle?.();
  }

  /** Settles when everything was taken or given up. */
  settled(): Promise<void> {
    if (this.#waiting === 0 || this.#isAbandoned) return Promise.resolve();
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }
}
