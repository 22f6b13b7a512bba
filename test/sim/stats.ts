/** What a world brought about, so that its properties cannot be true of nothing. */
import type { Crowd } from "./crowd.ts";
import type { Network } from "./network.ts";
import type { Node } from "./node.ts";
import type { Owners } from "./owners.ts";

export interface Stats {
  readonly judged: number;
  readonly laps: number;
  readonly moves: number;
  readonly gaps: number;
  readonly heals: number;
  readonly epochs: number;
  readonly stales: number;
  readonly restarts: number;
  readonly oversize: number;
  /** Slow sessions that were sent down a rung, up again, left out, and brought back. */
  readonly slowed: number;
  readonly raised: number;
  readonly leftOut: number;
  readonly broughtBack: number;
  /** Sessions that were closed by the node. */
  readonly closed: number;
  /** Owners that began. */
  readonly owners: number;
  /** Messages of a former owner that were refused. */
  readonly refusedTokens: number;
  /** Last messages whose loss a HEAD revealed. */
  readonly headGaps: number;
  readonly duplicates: number;
  /** Messages that the bus lost, repeated and delayed. */
  readonly lost: number;
  readonly repeated: number;
  readonly late: number;
}

export function statsOf(nodes: readonly Node[], crowd: Crowd, owners: Owners, { counts }: Network): Stats {
  const sum = (of: (node: Node) => number): number => nodes.reduce((total, node) => total + of(node), 0);
  const slow = (what: string) => sum(({ crew }) => crew.slow[what] ?? 0);
  const followed = (what: "heals" | "refusedTokens" | "headGaps" | "duplicates") =>
    sum(({ follower }) => follower.status().counters[what]);
  return {
    judged: crowd.judged,
    laps: sum(({ crew }) => crew.laps),
    moves: crowd.moves,
    gaps: crowd.gapsTold,
    heals: followed("heals"),
    epochs: sum(({ engine }) => engine.counters.epochs),
    stales: sum(({ engine }) => Object.values(engine.counters.stale).reduce((all, n) => all + n, 0)),
    restarts: sum(({ crew }) => crew.restarts),
    oversize: sum(({ engine }) => engine.counters.oversize),
    slowed: slow("down") + slow("downAge") + slow("down1000"),
    raised: slow("up"),
    leftOut: slow("leftOut"),
    broughtBack: slow("gap"),
    closed: Object.entries(crowd.closes).reduce((all, [code, n]) => (code === "1006" ? all : all + n), 0),
    owners: owners.starts,
    refusedTokens: followed("refusedTokens"),
    headGaps: followed("headGaps"),
    duplicates: followed("duplicates"),
    ...counts,
  };
}
