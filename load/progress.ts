/** How a run goes, while it goes: one line that is redrawn on a terminal, a line every few seconds elsewhere. */
import type { Histogram } from "./histogram.ts";
import { bytesText, grouped, msText } from "./report.ts";
import type { Tally } from "./tally.ts";

export interface ProgressOutput {
  write(text: string): void;
  /** Columns of the terminal; null if it is none. */
  columns(): number | null;
}

const plainEverySeconds = 5;

export class Progress {
  readonly #output: ProgressOutput;
  readonly #connections: number;
  readonly #durationMs: number | null;
  #lastMs = 0;
  #messages = 0;
  #bytes = 0;
  #calls = 0;
  #drawn = false;

  constructor(output: ProgressOutput, connections: number, durationMs: number | null) {
    this.#output = output;
    this.#connections = connections;
    this.#durationMs = durationMs;
  }

  /** Once a second. */
  show(tally: Tally, nowMs: number): void {
    const columns = this.#output.columns();
    if (columns === null && this.#calls++ % plainEverySeconds !== 0) return;
    const line = this.#line(tally, nowMs);
    this.#lastMs = nowMs;
    this.#messages = tally.counts.messages;
    this.#bytes = tally.counts.bytes;
    this.#drawn = columns !== null;
    this.#output.write(columns === null ? `${line}\n` : `\r\x1b[K${line.slice(0, columns - 1)}`);
  }

  /** A sentence between two lines. */
  note(sentence: string): void {
    this.#output.write(`${this.#drawn ? "\r\x1b[K" : ""}${sentence}\n`);
    this.#drawn = false;
  }

  end(): void {
    if (this.#drawn) this.#output.write("\r\x1b[K");
    this.#drawn = false;
  }

  #line(tally: Tally, nowMs: number): string {
    const { counts } = tally;
    const seconds = this.#lastMs === 0 ? 1 : (nowMs - this.#lastMs) / 1000;
    const parts = [
      `${grouped(counts.open)}/${grouped(this.#connections)} open`,
      `${grouped((counts.messages - this.#messages) / seconds)} msg/s`,
      `${bytesText((counts.bytes - this.#bytes) / seconds)}/s`,
      `p99 ${msText(p99(tally.latency))}`,
      `gaps ${grouped(counts.gaps)}`,
      `closed ${grouped(Object.values(tally.closes).reduce((a, b) => a + b, 0))}`,
      `faults ${grouped(tally.allFaults)}`,
    ];
    if (tally.measuredSeconds === 0) parts.push("connecting");
    else
      parts.push(
        `${clock(tally.measuredSeconds)}${this.#durationMs === null ? "" : `/${clock(this.#durationMs / 1000)}`}`,
      );
    return parts.join("  ");
  }
}

function p99(latency: Histogram): number | null {
  const us = latency.percentile(0.99);
  return us === null ? null : us / 1000;
}

/** `1:05`, `1:00:00`. */
function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}
