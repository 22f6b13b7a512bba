/**
 * One run over one key: its place in the stream, and what goes to the sink.
 *
 * On the path: reader (one connection, many keys) -> READING -> pipeline. The reader owns the loop; here is what each key
 * knows for itself.
 * Invariants: entries are handed on in the order of their ids, each once; a break in the stream is an `epoch` record before
 * anything that lies behind it; nothing is handed on once it is over. At the limit: while the sink is busy entries are left
 * where they are, in Redis.
 */
import { type Clock, wallMs } from "../../lib/clock.ts";
import type { IngestLog } from "../sampled-log.ts";
import type { Offset, RecordSink, SourceRecord } from "../source.ts";
import { turn } from "../wait.ts";
import { judge } from "./continuity.ts";
import type { StreamInfo } from "./info.ts";
import { compareIds, type Place, parsePlace, printPlace, START, timeOf } from "./place.ts";
import { type Entry, recordOf } from "./values.ts";

export interface ReadingOptions {
  readonly key: string;
  readonly sink: RecordSink;
  readonly from: Offset | null;
  readonly position: string | null;
  readonly field: string | null;
  readonly start: "earliest" | "latest";
  /** The data source, for the log. */
  readonly source: string;
  readonly clock: Clock;
  readonly log: IngestLog;
  /** Added to for as long as the source lives. */
  readonly counts: ReadingCounts;
  /** The sink has thrown: it takes nothing any more. */
  readonly failed: (error: unknown) => void;
}

export interface ReadingCounts {
  records: number;
  /** New epochs by cause. */
  deleted: number;
  reset: number;
  trimmed: number;
  /** Places of checkpoints that could not be understood. */
  unknownPlaces: number;
  /** Times that entries were there and reading gave none. */
  stalled: number;
}

/** Entries handed on before the event loop gets its turn and the sink is asked again. */
const BATCH = 256;

const SAID = {
  deleted: "the key of a stream was deleted: a new epoch begins",
  reset: "a stream has lost entries that were read before: a new epoch begins at its start",
  trimmed: "a stream was trimmed before all of it was read: a new epoch begins",
} as const;

export class Reading {
  readonly key: string;
  readonly #options: ReadingOptions;
  /** Null until Redis was asked about the key for the first time. */
  #place: Place | null;
  #exactUpTo: string;
  #offset: Offset;
  #over = false;
  #exists = true;
  #caughtUp = false;
  #behind: number | null = null;
  /** The sink's promise that somebody waits for already. */
  #waitedFor: Promise<void> | null = null;
  /** Asked about (XINFO) last; monotonic ms. */
  askedMs = Number.NEGATIVE_INFINITY;
  /** It is a stream or nothing yet, and may be read. */
  admitted = false;
  /** Why it cannot be read. */
  trouble: string | null = null;
  /** Answers in a row without the entries that are there. */
  silent = 0;

  constructor(options: ReadingOptions) {
    const { key, from, position } = options;
    this.key = key;
    this.#options = options;
    this.#place = position === null ? null : parsePlace(position);
    this.#exactUpTo = this.#place?.id ?? START;
    this.#offset = from === null ? 0 : from + 1;
  }

  /** Id of the last entry that was handed on. */
  get id(): string {
    return this.#place?.id ?? START;
  }

  get exists(): boolean {
    return this.#exists;
  }

  /** Entries in the stream behind our place; null if Redis does not count them. */
  get behind(): number | null {
    return this.#behind;
  }

  get lagMs(): number | null {
    if (this.#caughtUp) return 0;
    const time = timeOf(this.id);
    return time === null ? null : Math.max(0, wallMs(this.#options.clock) - time);
  }

  end(): void {
    this.#over = true;
  }

  /** Whether the sink takes nothing now; calls `wake` when it does again. */
  isBusy(wake: () => void): boolean {
    const busy = this.#options.sink.busy();
    if (busy !== null && busy !== this.#waitedFor) {
      this.#waitedFor = busy;
      // Whether it became ready or failed: the loop looks again.
      busy.then(wake, wake);
    }
    return busy !== null;
  }

  /** Redis has told of the key for the first time on this connection (`info`: null if it does not exist). */
  admit(info: StreamInfo | null): void {
    if (this.#over) return;
    this.admitted = true;
    this.trouble = null;
    this.silent = 0;
    this.#exists = info !== null;
    if (this.#place !== null) return;
    const { from, position, start, counts, log, source } = this.#options;
    const isLatest = start === "latest" && info !== null;
    this.#place = isLatest ? { id: info.last, ordinal: info.added } : { id: START, ordinal: null };
    this.#exactUpTo = this.#place.id;
    if (position !== null || from !== null) {
      counts.unknownPlaces++;
      log.warn("a checkpoint's place in a stream is not understood: a new epoch begins", { source, key: this.key });
      this.#beginEpoch();
    } else if (isLatest) {
      // A record, so that a checkpoint holds where we began: what comes while the node is away is not left out.
      this.#beginEpoch();
    }
  }

  /**
   * Hands on what was read behind `id`. `info`: what XINFO said right before; undefined if it was not asked. `isAll`: there
   * was no more. Returns false if entries that are there did not come.
   */
  async hand(info: StreamInfo | null | undefined, entries: readonly Entry[], isAll: boolean): Promise<boolean> {
    if (this.#over) return true;
    if (info !== undefined && !this.#goesOn(info, entries)) return true;
    if (info && entries.length === 0 && info.lastEntry !== null && compareIds(info.lastEntry, this.id) > 0) {
      this.silent++;
      this.#options.counts.stalled++;
      return false;
    }
    if (info !== undefined || entries.length > 0) this.silent = 0;
    this.#caughtUp = isAll;
    const receivedUs = this.#options.clock.wallUs();
    for (let i = 0; i < entries.length; i++) {
      if (i % BATCH === 0) {
        if (i > 0) await turn();
        if (this.#over || this.#options.sink.busy() !== null) {
          this.#caughtUp = false;
          return true;
        }
      }
      this.#handOne(entries[i] as Entry, receivedUs);
      if (this.#over) return true;
    }
    return true;
  }

  #handOne(entry: Entry, receivedUs: number): void {
    const ordinal = this.#place?.ordinal ?? null;
    this.#place = { id: entry.id, ordinal: ordinal === null ? null : ordinal + 1 };
    if (this.#behind !== null && this.#behind > 0) this.#behind--;
    this.#give({ type: "data", value: recordOf(this.key, entry, this.#options.field) }, receivedUs);
  }

  #give(what: { type: "data"; value: unknown } | { type: "epoch" }, receivedUs: number): void {
    this.#options.counts.records++;
    const position = printPlace(this.#place ?? { id: START, ordinal: null });
    const record: SourceRecord = { ...what, offset: this.#offset++, receivedUs, position };
    try {
      this.#options.sink.accept(record);
    } catch (error) {
      this.end();
      this.#options.failed(error);
    }
  }

  #beginEpoch(): void {
    this.#give({ type: "epoch" }, this.#options.clock.wallUs());
    this.#offset = 0;
  }

  /** Holds the stream against our place; false if the entries that were read are not to be used. */
  #goesOn(info: StreamInfo | null, entries: readonly Entry[]): boolean {
    const { log, source, counts } = this.#options;
    const place = this.#place ?? { id: START, ordinal: null };
    const ids = entries.map(({ id }) => id);
    const judged = judge(place, this.#exactUpTo, info, ids);
    this.#exists = info !== null;
    this.#exactUpTo = judged.exactUpTo;
    this.#place = judged.place;
    if (judged.is === "broken") {
      counts[judged.cause]++;
      log.warn(SAID[judged.cause], { source, key: this.key, behind: place.id, now: info?.firstEntry ?? null });
      this.#beginEpoch();
    }
    const { ordinal } = judged.place;
    this.#behind = info?.added == null || ordinal === null ? null : Math.max(0, info.added - ordinal);
    return judged.is === "whole" || judged.usable;
  }
}
