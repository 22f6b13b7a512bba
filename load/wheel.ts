/**
 * Things to do later, for very many of them: one timer of the process turns the wheel, none belongs to a connection.
 *
 * Invariant: nothing is done before its time, and at most one turn after it.
 */

export class Wheel {
  readonly #slotMs: number;
  readonly #slots = new Map<number, (() => void)[]>();
  #next: number;

  constructor(slotMs: number, nowMs: number) {
    this.#slotMs = slotMs;
    this.#next = Math.floor(nowMs / slotMs);
  }

  at(ms: number, call: () => void): void {
    const slot = Math.max(this.#next, Math.ceil(ms / this.#slotMs));
    const calls = this.#slots.get(slot);
    if (calls === undefined) this.#slots.set(slot, [call]);
    else calls.push(call);
  }

  /** Does everything that is due. */
  turn(nowMs: number): void {
    const last = Math.floor(nowMs / this.#slotMs);
    while (this.#next <= last) {
      const calls = this.#slots.get(this.#next);
      this.#slots.delete(this.#next);
      this.#next += 1;
      if (calls !== undefined) for (const call of calls) call();
    }
  }

  clear(): void {
    this.#slots.clear();
  }
}
