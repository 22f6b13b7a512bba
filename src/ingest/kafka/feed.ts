/**
 * A feed: what one running source wants of its partition and has got, between the leader loop, which fetches, and the
 * source's loop, which decodes.
 *
 * On the path: fetch -> FEED -> source. Invariants: what is fetched next follows from the bytes that came, before they are
 * decoded; an answer to a question that a newer one replaced (`ticket`) is not taken; one that makes no sense is the trouble
 * of its own partition only, which waits until the cluster is asked again.
 * At the limit: with `bytesMax` waiting it wants nothing; that is how a busy sink pauses its own partition only.
 */
import { offsetBehind } from "./batches.ts";
import { KAFKA } from "./faults.ts";
import type { Aborted, FetchedPartition } from "./fetch.ts";

export type Piece =
  | {
      readonly type: "batches";
      readonly bytes: Buffer;
      readonly aborted: readonly Aborted[];
      readonly receivedUs: number;
    }
  /** The topic was deleted and made again, or channels may come from other partitions from now on. */
  | { readonly type: "epoch"; readonly cause: "recreated" | "regrouped"; readonly topicId: string };

export interface FeedPlace {
  readonly topic: string;
  readonly partition: number;
}

export class Feed implements FeedPlace {
  readonly topic: string;
  readonly partition: number;
  /** As the cluster says; a piece `epoch` tells the source of a change. */
  topicId: string;
  /** Raised by whatever makes an answer under way void. */
  ticket = 0;
  /** Offset to fetch next; null while it is not known. */
  next: number | null = null;
  /** Where the next record will be written, as last heard; null before. */
  end: number | null = null;
  /** Nothing at or behind it is fetched for now; null: no such bound. */
  stopAt: number | null = null;
  /** The broker's error for this partition; 0 if none. Cleared when the cluster was asked again. */
  errorCode = 0;
  /** What was wanted is not retained any more, or not there yet: the source decides. */
  outOfRange = false;
  /** Monotonic ms when something came, or when there was nothing to come. */
  movedAtMs: number;
  /** Why nothing comes although the end moves, or what comes cannot be read; null if that is not so. */
  stalled: string | null = null;
  #connection: unknown = null;
  #connections = 0;
  readonly #pieces: Piece[] = [];
  readonly #bytesMax: number;
  readonly #wakeSource: () => void;
  #bytes = 0;
  /** Set by the leader loop it is with. */
  wakeLeader: () => void = () => undefined;

  constructor(place: FeedPlace, topicId: string, bytesMax: number, nowMs: number, wakeSource: () => void) {
    this.topic = place.topic;
    this.partition = place.partition;
    this.topicId = topicId;
    this.#bytesMax = bytesMax;
    this.movedAtMs = nowMs;
    this.#wakeSource = wakeSource;
  }

  /** Its next bytes are to be fetched. */
  get wants(): boolean {
    const { next, stopAt } = this;
    return next !== null && this.errorCode === 0 && !this.full && (stopAt === null || next < stopAt);
  }

  get full(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  /** Nothing waits to be taken. */
  get empty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Everything before `stopAt` is handed on. */
  get drained(): boolean {
    const { next, stopAt } = this;
    return this.empty && this.#bytes === 0 && next !== null && stopAt !== null && next >= stopAt;
  }

  /** From here on. */
  start(next: number, nowMs: number): void {
    this.ticket++;
    this.next = next;
    this.outOfRange = false;
    this.movedAtMs = nowMs;
    this.wakeLeader();
  }

  /** Up to `stopAt` and no further for now; null: on. */
  bound(stopAt: number | null): void {
    this.stopAt = stopAt;
    this.wakeLeader();
  }

  /** Connections it had after the first. */
  get reconnects(): number {
    return Math.max(0, this.#connections - 1);
  }

  // --- leader loop ----------------------------------------------------------------------------------------------

  /** It is fetched over this connection. */
  over(connection: unknown): void {
    if (this.#connection === connection) return;
    this.#connection = connection;
    this.#connections++;
  }

  give(fetched: FetchedPartition, committedOnly: boolean, receivedUs: number, nowMs: number): void {
    this.end = committedOnly ? fetched.stableEnd : fetched.end;
    const { batches } = fetched;
    let behind: number | null;
    try {
      behind = batches === null ? null : offsetBehind(batches);
    } catch (error) {
      this.#cannotRead(error instanceof Error ? error.message : String(error));
      return;
    }
    if (batches === null || behind === null || this.next === null) {
      if (this.next !== null && this.end <= this.next) this.movedAtMs = nowMs;
      return;
    }
    if (behind <= this.next) {
      this.#cannotRead("the broker answers with records from before the offset asked for");
      return;
    }
    this.next = behind;
    this.movedAtMs = nowMs;
    this.stalled = null;
    this.#bytes += batches.length;
    this.#pieces.push({ type: "batches", bytes: batches, aborted: fetched.aborted, receivedUs });
    this.#wakeSource();
  }

  #cannotRead(why: string): void {
    this.stalled = `partition ${this.partition} of topic "${this.topic}" cannot be read from ${this.next} on: ${why}`;
    this.refuse(KAFKA.CORRUPT_MESSAGE);
  }

  refuse(errorCode: number): void {
    this.ticket++;
    this.errorCode = errorCode;
    this.#wakeSource();
  }

  leaveRange(): void {
    this.ticket++;
    this.next = null;
    this.outOfRange = true;
    this.#wakeSource();
  }

  // --- broker ---------------------------------------------------------------------------------------------------

  recreated(topicId: string): void {
    this.ticket++;
    this.next = null;
    this.end = null;
    this.outOfRange = false;
    this.topicId = topicId;
    this.#pieces.push({ type: "epoch", cause: "recreated", topicId });
    this.#wakeSource();
  }

  /** Behind all that waits, a new epoch begins. */
  regroup(): void {
    this.#pieces.push({ type: "epoch", cause: "regrouped", topicId: this.topicId });
    this.#wakeSource();
  }

  // --- source ---------------------------------------------------------------------------------------------------

  take(): Piece | null {
    return this.#pieces.shift() ?? null;
  }

  /** The bytes of a piece are decoded. */
  done(bytes: number): void {
    const wasFull = this.full;
    this.#bytes -= bytes;
    if (wasFull && !this.full) this.wakeLeader();
  }

  /** Forgets what waits and begins again at `next`: a batch could not be decoded. */
  again(next: number, nowMs: number): void {
    for (const piece of this.#pieces.splice(0)) {
      if (piece.type === "batches") this.#bytes -= piece.bytes.length;
      else this.#pieces.push(piece);
    }
    this.start(next, nowMs);
  }
}
