/** What the engine counts; the admin side turns it into metrics. */
export interface EngineCounters {
  publications: Record<string, number>;
  /** Publications merged into a later one, by kind. */
  conflated: Record<string, number>;
  flushes: number;
  snapshots: number;
  gaps: Record<string, number>;
  /** Channels turned stale, by reason. */
  stale: Record<string, number>;
  epochs: number;
  repairs: number;
  /** Records too big for the ring. */
  oversize: number;
}

export const engineCounters = (): EngineCounters => ({
  publications: {},
  conflated: {},
  flushes: 0,
  snapshots: 0,
  gaps: {},
  stale: {},
  epochs: 0,
  repairs: 0,
  oversize: 0,
});

export const count = (table: Record<string, number>, key: string, n = 1): void => {
  table[key] = (table[key] ?? 0) + n;
};
