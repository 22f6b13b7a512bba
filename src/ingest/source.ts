/**
 * The contract of a source: one ordered input (a shard's) that yields records.
 *
 * On the path: SOURCE -> pipeline (mapper -> derive -> seq -> bus).
 * Invariants: one owner, one loop; offsets are integers that rise strictly; a bad record never stops the loop.
 * At the limit: when the sink is not ready the source stops reading until it is.
 */

/** Position in the source: the `offset` of the last record that was handed on. */
export type Offset = number;

/**
 * What a source hands on. The offset counts every record of the source, control records too, from 0; it survives
 * reconnects and, where the source can replay, a replay repeats it.
 */
export type SourceRecord = {
  readonly offset: Offset;
  /** Wall clock in microseconds when it was received. */
  readonly receivedUs: number;
  /** Where the source's own positions are no such numbers (Redis ids): what `run` needs to go on behind this record. */
  readonly position?: string;
} & (
  | {
      readonly type: "data";
      /** What the mapper of this source understands: text, bytes, or for sim and synthetic our own Updates. */
      readonly value: unknown;
    }
  /** The connection was lost and what came meanwhile cannot be replayed: books are stale, lossless channels have a gap. */
  | { readonly type: "lost" }
  /** Time has reached `time` (ms): for sources whose replay cannot repeat a timer. */
  | { readonly type: "clock"; readonly time: number }
  /**
   * A new numbering begins (a looping replay, a topic that was made anew): the next record's offset is any, 0 again at the
   * least. `moved`: the channels of all inputs of its topic may come from others of them from now on; each says so.
   */
  | { readonly type: "epoch"; readonly moved?: true }
);

export interface RecordSink {
  accept(record: SourceRecord): void;
  /** Null when the sink takes more; else a promise that settles when it does again. Ask at least once per read batch. */
  busy(): Promise<void> | null;
}

export type SourceState =
  | { readonly name: "idle" }
  | { readonly name: "connecting"; readonly attempt: number; readonly retryAt: number; readonly error: string }
  | { readonly name: "connected" }
  | { readonly name: "ended" }
  | { readonly name: "failed"; readonly reason: string };

export interface SourceStatus {
  readonly state: SourceState;
  /** Now minus the time of the newest record, ms; null if not known. */
  readonly lagMs: number | null;
  /** Records between what was handed on last and the end of the source; absent or null where that is not known. */
  readonly lagRecords?: number | null;
  readonly records: number;
  readonly reconnects: number;
  /** What else it counts, by its own words (`overflowed`, `stalled`, `dead letters`); each only rises. */
  readonly counts?: Readonly<Record<string, number>>;
}

export interface Source {
  /** `kraken`, `sim`, ...: names the metric label and the log line. */
  readonly name: string;
  /** True if `run(from)` can start behind any retained offset and then repeats the same records with the same offsets. */
  readonly replayable: boolean;
  /**
   * What is found wrong with a book is followed by a snapshot: of a live source that can be asked (the default with
   * `resync`), and of a recording made from one.
   */
  readonly repairs?: boolean;
  /**
   * Reads until it ends by itself (a replay), fails for good (rejects with GatewayError) or is aborted (resolves).
   * `from`: the last offset already processed; null starts at the beginning (or now, if not replayable).
   * `position`: that of the last record already processed (behind an `epoch` record there is one without an offset).
   */
  run(sink: RecordSink, from: Offset | null, signal: AbortSignal, position?: string | null): Promise<void>;
  /** Channels of the books it was told to follow: what was unreadable may have been the first snapshot of one. */
  readonly books?: readonly string[];
  /**
   * Which run of numbers its offsets belong to, where that can change under the same name (a topic that was deleted and made
   * again): a checkpoint of another one is not continued. It changes with an `epoch` record, right before that is handed on.
   * Absent: always the same.
   */
  readonly incarnation?: string;
  /**
   * Said before `run`: there is a checkpoint, but of another incarnation. All that this one holds came after it, so it is
   * read from its start, wherever a source without a checkpoint begins.
   */
  madeAnew?(): void;
  /**
   * Every record up to `offset` is in a stored checkpoint and with the bus: brokers show it as the group's offset. Never an
   * offset from before the last `epoch` record.
   */
  commit?(offset: Offset, position: string | null): void;
  /** Takes the value of a record that the mapper could not use, for a dead-letter topic. Never throws, never blocks. */
  deadLetter?(value: unknown, reason: string): void;
  /** A record of its had a channel that another shard of the node feeds: channels may have moved between inputs. */
  contested?(channel: string): void;
  /** Asks for a fresh snapshot of one book (by channel name) after a checksum or sequence error; absent where it cannot. */
  resync?(channel: string): void;
  status(): SourceStatus;
}
