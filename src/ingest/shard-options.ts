/** What a shard is made from, and what it says about itself. */
import type { Bus } from "../bus/bus.ts";
import type { Kind } from "../channel/types.ts";
import type { Clock } from "../lib/clock.ts";
import type { IngestCatalog } from "./chains.ts";
import type { CheckpointStore } from "./checkpoint.ts";
import type { ShardCounters } from "./counters.ts";
import type { HistoryOf } from "./history.ts";
import type { Mapper } from "./mapper/mapper.ts";
import type { ChannelOwners } from "./owners.ts";
import type { IngestLog } from "./sampled-log.ts";
import type { Source, SourceStatus } from "./source.ts";

export interface ShardOptions {
  readonly id: string;
  readonly source: Source;
  readonly mapper: Mapper;
  readonly bus: Bus;
  readonly catalog: IngestCatalog;
  /** Shared by all shards of the node. */
  readonly owners: ChannelOwners;
  readonly checkpoints: CheckpointStore;
  readonly clock: Clock;
  /** Fanout topic of a channel; '' is the user of public ones. */
  readonly topicOf: (channel: string, user: string) => string;
  /** Kinds that come from the source itself: they are not derived. */
  readonly provides: readonly Kind[];
  readonly log: IngestLog;
  /** Makes the id of an epoch. */
  readonly randomId: () => string;
  /** The engine is behind: null, or settles when it has caught up. */
  readonly pause?: () => Promise<void> | null;
  /** Bounds of the histories of items and books; what it leaves out has the default. */
  readonly historyOf?: HistoryOf;
  /** Of the lease; without one: the time in ms, but above that of the last checkpoint. */
  readonly token?: number;
  /** Of this run of this node: of two owners with one token only one stores. Unique by itself if left out. */
  readonly owner?: string;
}

export interface ShardStatus extends ShardCounters {
  readonly id: string;
  /** `name@version` */
  readonly mapper: string;
  readonly source: SourceStatus & { readonly name: string };
  readonly token: number;
  readonly epoch: string;
  readonly base: number;
  readonly ceiling: number;
  /** Of the last record; null if the epoch has none yet. */
  readonly offset: number | null;
  readonly seq: number | null;
  /** Wall clock minus the newest source time; null if there was none. */
  readonly lagMs: number | null;
  readonly chains: number;
  readonly books: number;
  readonly staleBooks: readonly string[];
  readonly checkpointsSaved: number;
  /** Times that the checkpoint store could not be read or written. */
  readonly checkpointErrors: number;
  /** Why it cannot just now; null if it can. The shard goes on under the ceiling that is stored. */
  readonly checkpointError: string | null;
  /** Records that wait until a higher ceiling is stored. */
  readonly held: number;
  /** Why the shard does not work any more; null while it does, or its source ended in peace. */
  readonly failure: string | null;
}
