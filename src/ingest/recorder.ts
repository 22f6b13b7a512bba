/**
 * The recorder: writes what a source hands on as a file that `replay` understands (replay-file.ts says the format).
 *
 * On the path: source -> RECORDER -> file. It is a sink; `connected` and `sent` are the source's `watch`.
 * Invariants: a replay of the file hands on the same records with the same offsets: data as text, `lost` as a connection;
 * a frame is one line (line feeds in it, which JSON only has between tokens, become spaces).
 * At the limit: when BYTES_WAITING_MAX are not written yet the source is paused; a disk that refuses fails the recording.
 */

import { once } from "node:events";
import { createWriteStream, openSync, type WriteStream } from "node:fs";
import type { Clock } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
import { RECORDER_NOTE } from "./recorded.ts";
import type { RecordSink, SourceRecord } from "./source.ts";

const BYTES_WAITING_MAX = 4 * 1024 * 1024;

export class Recorder implements RecordSink {
  readonly path: string;
  readonly #url: string;
  readonly #clock: Pick<Clock, "wallUs">;
  readonly #repairs: boolean;
  readonly #file: WriteStream;
  #records = 0;
  #begun = false;
  #room: Promise<void> | null = null;
  #failed: Error | null = null;

  /** `url` says whose records these are; `repairs`: the source asks for books that turn out wrong. Throws GatewayError RECORD_FILE if the file cannot be made. */
  constructor(path: string, url: string, clock: Pick<Clock, "wallUs">, repairs: boolean) {
    this.path = path;
    this.#url = url;
    this.#clock = clock;
    this.#repairs = repairs;
    this.#file = createWriteStream(path, { fd: opened(path), highWaterMark: BYTES_WAITING_MAX });
    this.#file.on("error", (error) => {
      this.#failed ??= error;
    });
  }

  /** Data records written. */
  get records(): number {
    return this.#records;
  }

  accept(record: SourceRecord): void {
    const at = secondsOf(record.receivedUs);
    if (record.type === "lost") this.#write(`${this.#url} <-> ${at}\n`);
    if (record.type !== "data") return;
    this.#records++;
    this.#write(`${at}: ${String(record.value).replace(/[\r\n]+/g, " ")}\n`);
  }

  busy(): Promise<void> | null {
    if (this.#failed !== null) throw failure(this.path, this.#failed);
    return this.#room;
  }

  /** A connection was made. Later ones are told by their `lost` record. */
  connected(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#write(`${this.#url} <-> ${secondsOf(this.#clock.wallUs())}\n`);
    if (this.#repairs) this.sent(RECORDER_NOTE);
  }

  sent(text: string): void {
    this.#write(`${this.#url} <- ${secondsOf(this.#clock.wallUs())}: ${text}\n`);
  }

  /** Settles when everything is in the file. */
  async close(): Promise<void> {
    if (this.#failed === null) {
      this.#file.end();
      await Promise.race([once(this.#file, "close"), once(this.#file, "error")]).catch(() => undefined);
    }
    if (this.#failed !== null) throw failure(this.path, this.#failed);
  }

  #write(line: string): void {
    if (this.#file.write(line) || this.#room !== null) return;
    this.#room = new Promise((resolve) => {
      const go = (): void => {
        this.#room = null;
        resolve();
      };
      this.#file.once("drain", go);
      this.#file.once("error", go);
    });
  }
}

const secondsOf = (us: number): string => (us / 1e6).toFixed(6);

function opened(path: string): number {
  try {
    return openSync(path, "w");
  } catch (cause) {
    throw failure(path, cause instanceof Error ? cause : new Error(String(cause)));
  }
}

const failure = (path: string, cause: Error): GatewayError =>
  new GatewayError("RECORD_FILE", `cannot write ${path}: ${cause.message}`, { cause });
