/** What happened in a world, line by line, if somebody wants to read it; else nothing is written. */
import type { Clock } from "../../src/lib/clock.ts";

export interface Trace {
  readonly on: boolean;
  /** `text` is made only if it is kept. */
  say(text: () => string): void;
}

export class Lines implements Trace {
  readonly on: boolean;
  readonly lines: string[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock, on: boolean) {
    this.#clock = clock;
    this.on = on;
  }

  say(text: () => string): void {
    if (this.on) this.lines.push(`${(this.#clock.monotonicMs() / 1000).toFixed(3).padStart(8)} ${text()}`);
  }
}

/** A frame as a trace shows it: long ones without their middle. */
export const shortened = (frame: string): string =>
  frame.length <= 400 ? frame : `${frame.slice(0, 280)} ... ${frame.slice(-100)}`;
