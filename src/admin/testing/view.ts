/** A node for tests of the admin side: everything is well unless the test says otherwise. */
import { RUNGS } from "../../ring/messages.ts";
import type { BusLinkView, EdgeView, EngineView, NodeView, ShardView } from "../view.ts";

export const NO_TOTALS: EdgeView["totals"] = {
  sessions: 0,
  subscriptions: 0,
  delivered: 0,
  deliveredBytes: 0,
  laps: 0,
  outboxBytes: 0,
  outboxAgeMs: 0,
  errors: {},
  closes: {},
  limited: {},
  slow: {},
  rungSessions: RUNGS.map(() => 0),
  latency: {},
};

export const aShard = (change: Partial<ShardView> = {}): ShardView => ({
  shard: "sim",
  source: "sim",
  routed: false,
  epoch: "k7",
  status: { state: { name: "connected" }, lagMs: 12, records: 100, reconnects: 0 },
  badRecords: {},
  resyncs: {},
  books: 10,
  staleBooks: 0,
  checkpoints: { saved: 3, errors: 0, error: null },
  ...change,
});

export const anEngine = (change: Partial<EngineView> = {}): EngineView => ({
  publications: {},
  conflated: {},
  gaps: {},
  channels: 0,
  topics: 0,
  stale: [],
  ...change,
});

export const anEdge = (change: Partial<EdgeView> = {}): EdgeView => ({
  workers: [{ worker: 0, up: true, restarts: 0, loopLagMs: 0 }],
  totals: NO_TOTALS,
  ...change,
});

export const aView = (change: Partial<NodeView> = {}): NodeView => ({
  nodeId: "n1",
  version: "0.0.1",
  shards: () => [aShard()],
  engine: () => anEngine(),
  bus: () => [{ shard: "sim", headAgeMs: 100, silent: false }],
  busLink: () => aBusLink(),
  follower: () => ({}),
  restHeads: () => ({ asked: 0, failed: 0 }),
  checkpointStore: "memory",
  routes: () => null,
  config: () => null,
  edge: () => anEdge(),
  loopLagMs: () => 0,
  drain: () => null,
  certificate: () => null,
  ...change,
});

export const aBusLink = (changes: Partial<BusLinkView> = {}): BusLinkView => ({
  ...{ kind: "memory", connected: true, reason: "", counts: {}, heldBytes: 0, unacknowledged: 0, hopMs: null },
  ...changes,
});
