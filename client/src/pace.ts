/**
 * The cadence of one subscription: what was asked for, what the node has agreed to, and who waits to hear it.
 *
 * Invariant: the last wish counts; whoever waited for an earlier one hears the answer to the last.
 */
import type { TidegateError } from "./errors.ts";
import { Settling } from "./settling.ts";

export class Pace {
  /** What is asked for, ms; null: real time. */
  wanted: number | null;
  /** As the node has it now. */
  now: number | null = null;
  #accepted: number | null;
  #waiting: Settling<number> | null = null;

  constructor(wanted: number | null) {
    this.wanted = wanted;
    this.#accepted = wanted;
  }

  want(ms: number): Settling<number> {
    this.wanted = ms;
    this.#waiting ??= new Settling();
    return this.#waiting;
  }

  agreed(ms: number): void {
    this.#accepted = this.wanted;
    this.#waiting?.resolve(ms);
    this.#waiting = null;
  }

  /** True if somebody hears of it. */
  refused(error: TidegateError): boolean {
    const waiting = this.#waiting;
    this.wanted = this.#accepted;
    this.#waiting = null;
    waiting?.reject(error);
    return waiting?.asked === true;
  }
}
