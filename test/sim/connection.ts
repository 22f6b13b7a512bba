/**
 * One owner's connection to a venue: a source that reads the venue's log from a position, or hears it live.
 *
 * Invariants: it hands nothing on while its owner's thread has no turns, or while the sink is busy; whatever it hands on
 * whole is noted in the truth of the numbering in which its owner takes it.
 */
import type { RecordSink, Source, SourceRecord, SourceStatus } from "../../src/ingest/source.ts";
import type { NodeClock } from "./node-clock.ts";
import type { Random } from "./random.ts";
import type { Listing, TrueEpoch, Venue } from "./venue.ts";

export type Sent = SourceRecord extends infer R
  ? R extends unknown
    ? Omit<R, "offset" | "receivedUs">
    : never
  : never;

/** A trade, before anybody numbered it. */
export interface Happened {
  readonly listing: Listing;
  readonly id: string;
  /** The venue's number of it; null: the shard counts. */
  readonly own: number | null;
}

/** The book of an instrument behind a record, as the venue has it. */
export interface BookThen {
  readonly listing: Listing;
  readonly text: string;
  /** The record holds all of it: whatever was before does not matter. */
  readonly whole: boolean;
}

/** One record, and what is true because of it. */
export interface Entry {
  readonly sent: Sent;
  readonly trades: readonly Happened[];
  /** Null: nothing changed, or what it says is not true. */
  readonly book: BookThen | null;
}

export interface ConnectionPorts {
  readonly clock: NodeClock;
  /** The numbering in which the shard takes the next record. */
  readonly position: () => { readonly epoch: string; readonly base: number };
}

const BATCH = 5;

export class Connection implements Source {
  readonly name: string;
  readonly replayable: boolean;
  readonly resync?: (channel: string) => void;
  readonly #venue: Venue;
  readonly #ports: ConnectionPorts;
  #sink: RecordSink | null = null;
  /** Heard live and not yet handed on. */
  #queue: Entry[] = [];
  /** Offset of the next record. */
  #next = 0;
  #generation: number;
  #downUntilMs = 0;
  /** Everything the log held when it began to read has been handed on. */
  #caughtUp = false;
  #pausing = false;
  #last: SourceRecord | null = null;
  #epoch: TrueEpoch | null = null;
  #records = 0;

  constructor(venue: Venue, ports: ConnectionPorts) {
    this.name = venue.name;
    this.replayable = venue.replayable;
    this.#venue = venue;
    this.#ports = ports;
    this.#generation = venue.generation;
    if (!venue.replayable) {
      this.resync = (channel) => {
        const listing = venue.listings.find((one) => `${one.symbol}@depth` === channel);
        if (listing !== undefined) venue.options.resyncAsked(listing);
      };
    }
  }

  /** It hears nothing now. */
  get isDown(): boolean {
    return this.#ports.clock.monotonicMs() < this.#downUntilMs;
  }

  get incarnation(): string {
    return this.replayable ? `g${this.#generation}` : "";
  }

  run(sink: RecordSink, from: number | null, signal: AbortSignal): Promise<void> {
    const { log, logStart, options } = this.#venue;
    this.#sink = sink;
    const first = options.startsAt === "earliest" ? logStart : logStart + log.length;
    if (this.replayable) this.#next = from === null ? first : from + 1;
    this.#venue.opened(this, this.#ports.position().base);
    this.pump();
    return new Promise((resolve) => {
      const end = (): void => {
        this.#sink = null;
        this.#venue.closed(this);
        resolve();
      };
      if (signal.aborted) end();
      else signal.addEventListener("abort", end, { once: true });
    });
  }

  status(): SourceStatus {
    const name = this.isDown ? "connecting" : "connected";
    const state =
      name === "connected" ? ({ name } as const) : ({ name, attempt: 1, retryAt: 0, error: "down" } as const);
    return { state, lagMs: null, records: this.#records, reconnects: 0 };
  }

  // --- what happens to it -----------------------------------------------------------------------------------------

  /** The venue says something. */
  take(entry: Entry): void {
    if (!this.replayable && !this.isDown) this.#queue.push(entry);
    this.pump();
  }

  /** The last record comes once more, under its old offset or an older one. */
  again(random: Random): void {
    const last = this.#last;
    const back = random.int(0, 2);
    if (last === null || this.#sink === null || this.#ports.clock.frozen || this.#sink.busy() !== null) return;
    this.#sink.accept({ ...last, offset: Math.max(0, last.offset - back) });
  }

  /** It hears nothing for `ms`. */
  lost(ms: number): void {
    if (!this.replayable && !this.isDown) this.#queue.push({ sent: { type: "lost" }, trades: [], book: null });
    this.pump();
    const { clock } = this.#ports;
    this.#downUntilMs = Math.max(this.#downUntilMs, clock.monotonicMs() + ms);
    clock.after(ms, () => this.pump());
  }

  /** Hands on what it can. */
  pump(): void {
    const { clock } = this.#ports;
    if (this.#pausing || this.#sink === null) return;
    if (clock.frozen) {
      this.#pause((go) => clock.awake(go));
      return;
    }
    for (let left = BATCH; this.#sink !== null; left--) {
      const busy = this.#sink.busy();
      const { paceMs } = this.#venue.options;
      if (busy !== null) {
        this.#pause((go) => void busy.then(go));
        return;
      }
      if (left <= 0 && paceMs > 0 && !this.#caughtUp && this.replayable) {
        this.#pause((go) => clock.after(paceMs, go));
        return;
      }
      if (!this.#one()) return;
    }
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #pause(until: (go: () => void) => void): void {
    this.#pausing = true;
    until(() => {
      this.#pausing = false;
      this.pump();
    });
  }

  /** Hands on the next record; false if there is none. */
  #one(): boolean {
    if (!this.replayable) {
      const entry = this.#queue.shift();
      if (entry !== undefined) this.#hand(entry, this.#next++);
      return entry !== undefined;
    }
    if (this.isDown) return false;
    const { generation, logStart, log } = this.#venue;
    if (this.#generation !== generation || this.#next < logStart) {
      // What is between is gone: another numbering begins.
      const offset = this.#next;
      this.#generation = generation;
      this.#next = logStart;
      this.#hand({ sent: { type: "epoch" }, trades: [], book: null }, offset);
      return true;
    }
    const entry = log[this.#next - logStart];
    if (entry === undefined) {
      this.#caughtUp = true;
      return false;
    }
    this.#hand(entry, this.#next++);
    return true;
  }

  #hand(entry: Entry, offset: number): void {
    this.#epoch ??= this.#venue.epochOf(this.#ports.position());
    this.#venue.taken(entry, offset, this.#epoch);
    const record = { ...entry.sent, offset, receivedUs: this.#ports.clock.wallUs() } as SourceRecord;
    this.#records++;
    const isEpoch = entry.sent.type === "epoch";
    this.#last = isEpoch ? null : record;
    if (isEpoch) {
      this.#epoch = null;
      if (!this.replayable) this.#next = 0;
    }
    this.#sink?.accept(record);
  }
}
