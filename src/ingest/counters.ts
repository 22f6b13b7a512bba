/** What a shard counts; the node turns it into metrics. Every way for data not to go on is one of these numbers. */
export interface ShardCounters {
  /** Records taken, control records too. */
  records: number;
  /** Publications numbered, by kind, wanted or not. */
  readonly publications: Record<string, number>;
  /** Records or updates that could not be understood, by reason. */
  readonly malformed: Record<string, number>;
  /** Updates that were understood and not taken, by reason. */
  readonly refused: Record<string, number>;
  /** Books that turned out wrong, by cause. */
  readonly resyncs: Record<string, number>;
  /** Deltas that came while their book was stale. */
  ignoredDeltas: number;
  /** Books begun with a delta, without a snapshot. */
  partialBooks: number;
  /** Trades older than the newest of their instrument. */
  lateTrades: number;
  /** Updates merged because a record had two of one channel. */
  merged: number;
  /** Connections lost without replay. */
  losses: number;
}

export const shardCounters = (): ShardCounters => ({
  records: 0,
  publications: {},
  malformed: {},
  refused: {},
  resyncs: {},
  ignoredDeltas: 0,
  partialBooks: 0,
  lateTrades: 0,
  merged: 0,
  losses: 0,
});

const NAMES_MAX = 256;

/** Adds one under `name`; names beyond NAMES_MAX (a mapper that makes up reasons) share `other`. */
export function count(counts: Record<string, number>, name: string): void {
  const known = counts[name];
  if (known !== undefined) counts[name] = known + 1;
  else if (Object.keys(counts).length < NAMES_MAX) counts[name] = 1;
  else counts.other = (counts.other ?? 0) + 1;
}
