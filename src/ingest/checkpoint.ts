/**
 * Checkpoints: one consistent cut of a shard at one offset, and where they are stored.
 *
 * Invariants: a checkpoint is plain JSON and never changes once made: it shares only immutable parts (publications,
 * levels, closed candles) with the running shard, so making one copies pointers, not text. A store keeps the newest
 * checkpoint of the highest token: an old owner cannot overwrite a newer one.
 */
import type { Instrument } from "../channel/instruments.ts";
import type { Candle, Item, Kind, Level, Publication, StaleReason, Value } from "../channel/types.ts";
import type { SavedDerivation } from "./derive/derivation.ts";
import type { TradeIdMode } from "./derive/trade-ids.ts";

export interface SavedBook {
  readonly form: "book";
  /** Best first. */
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  /** A first snapshot (or, partial, a first delta) was there. */
  readonly begun: boolean;
  readonly partial: boolean;
  readonly stale: StaleReason | null;
  /** The source's number of the last update; null if it gives none. */
  readonly last: number | null;
  readonly broken: boolean;
  readonly history: readonly Publication[];
}

export interface SavedItems {
  readonly form: "items";
  /** Number of the next trade or aggTrade that has none of its own. */
  readonly counter: number;
  /** The source's number of the last item, and whether a jump behind it has been told already. */
  readonly last: number | null;
  readonly told: boolean;
  /** Items that wait behind a gap. */
  readonly held: readonly Item[];
  readonly history: readonly Publication[];
}

export interface SavedValue {
  readonly form: "value";
  readonly value: Value | null;
}

export interface ClosedCandle {
  /** Seq at which it closed. */
  readonly seq: number;
  readonly candle: Candle;
}

export interface SavedCandles {
  readonly form: "candles";
  readonly current: Candle | null;
  readonly closed: readonly ClosedCandle[];
  readonly forgotten: number | null;
}

export type SavedKeeper = SavedBook | SavedItems | SavedValue | SavedCandles;

export interface SavedChain {
  readonly channel: string;
  readonly user: string;
  readonly lastSeq: number | null;
  readonly time: number;
  readonly receivedUs: number;
  readonly state: SavedKeeper;
}

export interface SavedChains {
  /** By chain key. */
  readonly channels: Readonly<Record<string, SavedChain>>;
  readonly tradeIds: TradeIdMode | null;
  /** Of all channels: learned ones must be known before the replay reaches them again. */
  readonly instruments: readonly Instrument[];
}

export interface SavedPipeline extends SavedChains {
  readonly derivation: SavedDerivation;
  /** Newest time the source gave; 0 if none. */
  readonly sourceTime: number;
}

/** What is known of a checkpoint without its state. */
export interface CheckpointHead {
  /** Of the owner who made it. */
  readonly token: number;
  /** Tells owners of the same token apart: two that began at the same moment. */
  readonly owner: string;
  readonly epoch: string;
  readonly base: number;
  /** No seq above it was published. */
  readonly ceiling: number;
  /** Of the last record processed; null if none was. */
  readonly offset: number | null;
}

export interface Checkpoint extends CheckpointHead, SavedPipeline {
  /** Of the last record processed (SourceRecord.position); null where the source has none. */
  readonly position: string | null;
  /** Of the source's offsets (Source.incarnation); '' where it has none. */
  readonly incarnation: string;
  /** `name@version` of the mapper: another one makes other publications, hence a new epoch. */
  readonly mapperVersion: string;
  readonly provides: readonly Kind[];
}

export interface CheckpointStore {
  /** The newest checkpoint, or null. */
  load(shard: string): Promise<Checkpoint | null>;
  /**
   * False, and nothing stored, if the one that is there may not be replaced (`mayReplace`). Rejects with GatewayError
   * CHECKPOINT_STORE within seconds when the store cannot be reached.
   */
  save(shard: string, checkpoint: Checkpoint): Promise<boolean>;
  /** The head of the newest: an owner that has nothing to save looks whether the shard is still its own. */
  head?(shard: string): Promise<CheckpointHead | null>;
  close?(): Promise<void>;
}

/** A newer owner replaces an older one's checkpoint, an owner its own; of two with one token the first stays. */
export const mayReplace = (
  held: Pick<CheckpointHead, "token" | "owner">,
  next: Pick<CheckpointHead, "token" | "owner">,
) => next.token > held.token || (next.token === held.token && next.owner === held.owner);

/** Checkpoints that live as long as the process. */
export class MemoryCheckpoints implements CheckpointStore {
  readonly #newest = new Map<string, Checkpoint>();

  load(shard: string): Promise<Checkpoint | null> {
    return Promise.resolve(this.#newest.get(shard) ?? null);
  }

  save(shard: string, checkpoint: Checkpoint): Promise<boolean> {
    const newest = this.#newest.get(shard);
    if (newest !== undefined && !mayReplace(newest, checkpoint)) return Promise.resolve(false);
    this.#newest.set(shard, checkpoint);
    return Promise.resolve(true);
  }

  head(shard: string): Promise<CheckpointHead | null> {
    return this.load(shard);
  }
}
