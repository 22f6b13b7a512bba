/** What happens in a world: a plan is data, so that it can be printed, fast-check can make and shrink it, and a seed repeats it. */
import type { Rung } from "../../src/ring/messages.ts";

export const LISTINGS = 3;
export const VENUES = 2;

export type Step =
  | {
      /** Records of one instrument: only good ones, good and bad ones, or trades with long ids that fill the ring. */
      readonly do: "feed";
      readonly mix: "good" | "wild" | "long";
      readonly listing: number;
      readonly count: number;
      readonly gapMs: number;
      readonly seed: number;
    }
  | { readonly do: "lost" | "epoch"; readonly venue: number; readonly ms: number; readonly seed: number }
  /** The venue says that its book is not to be trusted, and takes its time to repair it. */
  | { readonly do: "stale"; readonly listing: number; readonly ms: number }
  | { readonly do: "open"; readonly binance: boolean; readonly listing: number; readonly seed: number }
  /** A client does something: subscribes, leaves, comes back, changes its cadence, asks for a resync. */
  | { readonly do: "act"; readonly client: number; readonly seed: number }
  /** `node`: which edge node; absent: the first. */
  | { readonly do: "restart"; readonly node?: number; readonly worker: number; readonly ms: number }
  /** A worker reads nothing for a while: the ring may lap it. */
  | { readonly do: "pause"; readonly node?: number; readonly worker: number; readonly ms: number }
  /** A worker reads nothing until long trades have filled the ring `times` over. */
  | {
      readonly do: "lap";
      readonly node?: number;
      readonly worker: number;
      readonly listing: number;
      readonly times: number;
      readonly ms: number;
      /** What else happens meanwhile. */
      readonly also: "nothing" | "lost" | "epoch" | "stale";
      readonly seed: number;
    }
  /** A client reads nothing for a while, or so few bytes every 20 ms: its outbox fills. */
  | { readonly do: "choke"; readonly client: number; readonly ms: number; readonly bytes: number }
  /** The node hears nothing of the bus. */
  | { readonly do: "deaf"; readonly node?: number; readonly ms: number }
  /** The node's main thread has no turns. */
  | { readonly do: "freeze"; readonly node: number; readonly ms: number }
  /** Records whose publications some nodes do not get; then nothing comes for a while. */
  | { readonly do: "last"; readonly listing: number; readonly nodes: readonly number[]; readonly ms: number }
  /**
   * A shard's owner stops or dies, and another begins `ms` later; or another takes over while it still talks; or nobody
   * hears it for `ms`. `lose`: the store loses what it had.
   */
  | {
      readonly do: "own";
      readonly venue: number;
      readonly how: "stop" | "crash" | "takeOver" | "cut";
      readonly ingest: number;
      readonly lose: boolean;
      readonly ms: number;
    }
  /** The checkpoint store does not answer. */
  | { readonly do: "store"; readonly ms: number }
  /** A venue's log keeps only its last records. */
  | { readonly do: "retain"; readonly venue: number; readonly keep: number }
  | { readonly do: "wait"; readonly ms: number };

/** What clients subscribe to: few kinds and rungs meet each other more often. */
export type Kinds = "all" | "books" | "trades";

export interface Plan {
  readonly seed: number;
  readonly steps: readonly Step[];
  readonly kinds: Kinds;
  readonly rungs: readonly Rung[];
  readonly drop: number;
  readonly duplicate: number;
  readonly delay: number;
  readonly workers: number;
  /** What becomes of a slow session's trades. */
  readonly onSlow: "wait" | "gap";
  readonly ringBytes: number;
  /** Publications a chain of the follower holds. */
  readonly heldMax: number;
  /** Trades have ids of the venue. */
  readonly ownIds: boolean;
  /** Every book and trade channel has data before the first client comes. */
  readonly warm: boolean;
  /** The last records pass while the bus still loses; then nothing comes any more. */
  readonly quietEnd: boolean;
  /** The first instrument's book ends wrong at the shard, for good. */
  readonly endsStale: boolean;
  /** Nodes that serve clients. */
  readonly nodes: number;
  /** Nodes that own shards: the same ones as those that serve clients, or others. */
  readonly ingest: number;
  readonly bothRoles: boolean;
  /** Per venue: whether it keeps a log, where a reader without a position begins, and how fast one that is behind reads. */
  readonly venues: readonly {
    readonly replayable: boolean;
    readonly startsAt: "earliest" | "latest";
    readonly paceMs: number;
  }[];
  /** Publications and checkpoints pass as bytes. */
  readonly bytes: boolean;
  /** The store answers within so many ms. */
  readonly storeMs: number;
  /** How long a node stays interested in what nobody follows any more. */
  readonly lingerMs: number;
  /** At the end everything that repairs itself gets all the time it may need, whether it is well already or not. */
  readonly patient: boolean;
}

/** What worlds of one node and one owner have in common. */
export const ALONE = {
  nodes: 1,
  ingest: 1,
  bothRoles: false,
  venues: Array.from({ length: VENUES }, () => ({ replayable: false, startsAt: "earliest", paceMs: 0 }) as const),
  bytes: false,
  storeMs: 0,
  lingerMs: 60_000,
  patient: true,
} as const;
