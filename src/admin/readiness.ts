/**
 * Readiness: whether this node may take traffic, and the state of each part that decides it.
 *
 * Invariants: `ok` and `degraded` may take traffic, `down` may not; a node that lost a source it had goes on serving
 * (its subscribers were told), a node that never had one does not begin to.
 */
import type { StaleReason } from "../channel/types.ts";
import type { ConfigView, NodeView, RoutesView, ShardView } from "./view.ts";

export type PartState = "ok" | "degraded" | "down";

export interface Part {
  readonly state: PartState;
  /** One line for whoever reads it at night; '' if all is well. */
  readonly reason: string;
  readonly [detail: string]: unknown;
}

export interface Readiness {
  readonly ready: boolean;
  readonly node: string;
  readonly parts: Readonly<Record<string, Part>>;
}

/** A loop that lags more than this does not serve its sessions. */
export const LOOP_LAG_MS_MAX = 1000;
/** Stale channels named in the answer; the rest is a number. */
const NAMES_MAX = 20;

/** How the channels of books end, and why they are stale if it is not their source that said so. */
const BOOK = "@depth";
const UNHEARD: readonly string[] = ["no-head", "disconnected"] satisfies StaleReason[];

export function readiness(view: NodeView): Readiness {
  const parts: Record<string, Part> = {
    sources: sources(view.shards()),
    books: books(view),
    bus: bus(view),
    checkpoints: checkpoints(view),
    loop: loop(view.loopLagMs()),
  };
  const routes = view.routes();
  if (routes !== null) {
    parts.brokers = brokers(routes);
    parts.routes = inputs(routes);
  }
  const config = view.config();
  if (config !== null) parts.config = configPart(config);
  const edge = view.edge();
  if (edge !== null) parts.edge = workers(edge.workers);
  const drain = view.drain();
  if (drain !== null) {
    parts.drain = { state: "down", reason: `the node is draining: ${drain.sessions} sessions left`, ...drain };
  }
  return { ready: Object.values(parts).every(({ state }) => state !== "down"), node: view.nodeId, parts };
}

/** Parts of a millisecond tell nobody anything. */
const rounded = (ms: number | null): number | null => (ms === null ? null : Math.round(ms));

const worst = (states: readonly PartState[]): PartState =>
  states.includes("down") ? "down" : states.includes("degraded") ? "degraded" : "ok";

function sources(shards: readonly ShardView[]): Part {
  const list = shards.map((shard) => ({ ...shard, ...judge(shard) }));
  return {
    state: worst(list.map(({ state }) => state)),
    reason: list.flatMap(({ reason }) => (reason === "" ? [] : [reason])).join("; "),
    shards: list.map(({ shard, source, state, status, epoch, badRecords }) => ({
      shard,
      source,
      state,
      epoch,
      status: status.state,
      lagMs: rounded(status.lagMs),
      lagRecords: status.lagRecords ?? null,
      records: status.records,
      reconnects: status.reconnects,
      badRecords,
    })),
  };
}

function judge({ shard, status, routed }: ShardView): { state: PartState; reason: string } {
  const { state } = status;
  if (state.name === "failed")
    return { state: routed ? "degraded" : "down", reason: `${shard} failed: ${state.reason}` };
  if (state.name === "connected" || state.name === "ended") return { state: "ok", reason: "" };
  const why = state.name === "connecting" ? `connecting, attempt ${state.attempt}: ${state.error}` : "not started";
  return { state: routed || status.records > 0 ? "degraded" : "down", reason: `${shard} ${why}` };
}

function books(view: NodeView): Part {
  const { stale } = view.engine();
  const resyncs: Record<string, number> = {};
  let known = 0;
  let staleAtSource = 0;
  for (const shard of view.shards()) {
    known += shard.books;
    staleAtSource += shard.staleBooks;
    for (const [cause, count] of Object.entries(shard.resyncs)) resyncs[cause] = (resyncs[cause] ?? 0) + count;
  }
  // Trades and values may be stale too, and so may a book that nobody feeds yet: none of them is a book that is wrong.
  const isFed = view.bus().length > 0;
  const wrong = stale.filter(({ channel, reason }) => channel.endsWith(BOOK) && (isFed || !UNHEARD.includes(reason)));
  const count = Math.max(wrong.length, staleAtSource);
  return {
    state: count === 0 ? "ok" : "degraded",
    reason: count === 0 ? "" : `${count} stale`,
    known,
    staleAtSource,
    stale: wrong.length,
    channels: wrong.slice(0, NAMES_MAX),
    resyncs,
  };
}

function bus(view: NodeView): Part {
  const shards = view.bus().map((shard) => ({ ...shard, headAgeMs: rounded(shard.headAgeMs) }));
  const { kind, connected, reason: why } = view.busLink();
  const silent = shards.filter((shard) => shard.silent).map(({ shard }) => shard);
  const reasons = [
    ...(connected ? [] : [`not connected: ${why}`]),
    ...(silent.length === 0 ? [] : [`no HEAD of ${silent.slice(0, NAMES_MAX).join(", ")}`]),
  ];
  return { state: reasons.length === 0 ? "ok" : "degraded", reason: reasons.join("; "), kind, connected, shards };
}

/** A broker that is away is told; what other nodes own, and what is there already, goes on being served. */
function brokers({ brokers: list }: RoutesView): Part {
  const reasons = list.flatMap(({ name, state, missing }) => {
    if (state.name === "connecting") return [`${name} connecting, attempt ${state.attempt}: ${state.error}`];
    if (state.name === "failed") return [`${name} failed: ${state.reason}`];
    return missing.slice(0, NAMES_MAX).map(({ topic, reason }) => `${name} has no ${topic}: ${reason}`);
  });
  return { state: reasons.length === 0 ? "ok" : "degraded", reason: reasons.join("; "), brokers: list };
}

function inputs({ inputs: list }: RoutesView): Part {
  const reasons = list.flatMap(({ shard, state, reason }) => (reason === "" ? [] : [`${shard} ${state}: ${reason}`]));
  const counts: Record<string, number> = {};
  for (const { state } of list) counts[state] = (counts[state] ?? 0) + 1;
  const state = reasons.length === 0 ? "ok" : "degraded";
  return { state, reason: reasons.slice(0, NAMES_MAX).join("; "), counts, shards: list };
}

/** Shards go on without their store, under the ceiling that is stored. */
function checkpoints(view: NodeView): Part {
  const errors = view
    .shards()
    .flatMap(({ shard, checkpoints: { error } }) => (error === null ? [] : [`${shard}: ${error}`]));
  const state = errors.length === 0 ? "ok" : "degraded";
  return { state, reason: errors.slice(0, NAMES_MAX).join("; "), store: view.checkpointStore };
}

function configPart(config: ConfigView): Part {
  const reasons = [
    ...(config.mistake === "" ? [] : [`what stands there now is refused: ${config.mistake}`]),
    ...(config.restart.length === 0 ? [] : [`changes that need a restart: ${config.restart.join(", ")}`]),
  ];
  return { state: reasons.length === 0 ? "ok" : "degraded", reason: reasons.join("; "), ...config };
}

function workers(list: NonNullable<ReturnType<NodeView["edge"]>>["workers"]): Part {
  const down = list.filter(({ up }) => !up).map(({ worker }) => worker);
  const state = down.length === 0 && list.length > 0 ? "ok" : down.length < list.length ? "degraded" : "down";
  return {
    state,
    reason: state === "ok" ? "" : `workers down: ${down.join(", ") || "all"}`,
    workers: list.map((worker) => ({ ...worker, loopLagMs: rounded(worker.loopLagMs) })),
  };
}

function loop(lagMs: number): Part {
  const down = lagMs > LOOP_LAG_MS_MAX;
  return {
    state: down ? "down" : "ok",
    reason: down ? `main thread lags ${Math.round(lagMs)} ms` : "",
    lagMs: Math.round(lagMs),
  };
}
