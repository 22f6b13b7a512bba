/** REST depth replies, made from the engine's book and cached so that a storm of requests costs one encoding. */
import type { Level } from "../channel/types.ts";
import type { ChannelState } from "./channel-state.ts";

/** Replies are at most this old while the book moves, and dropped earlier when a Binance rung of the channel flushes. */
const CACHE_MS = 50;
/** Limits a client thinks up must not fill the memory: so many bodies per book, then the cache starts over. */
const CACHE_BODIES_MAX = 16;

export interface DepthBody {
  readonly lastUpdateId: number;
  /** Source time in ms of the newest change. */
  readonly time: number;
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
}

export type DepthReply =
  | { readonly is: "depth"; readonly body: DepthBody }
  | { readonly is: "unknown" }
  | { readonly is: "unavailable" };

/** `atLeast`: an older reply is not good enough, however young. */
export function depthReply(state: ChannelState, limit: number, nowMs: number, atLeast = -1): DepthReply {
  // A book that never was would be older than the stream's first event.
  if (state.staleReason !== null || state.seq === null) return { is: "unavailable" };
  const cached = state.depthCache.get(limit);
  if (cached && (cached.body.lastUpdateId === state.seq || nowMs - cached.at <= CACHE_MS)) {
    if (cached.body.lastUpdateId >= atLeast) return { is: "depth", body: cached.body };
  }
  const { book } = state;
  const body: DepthBody = {
    lastUpdateId: state.seq,
    time: state.time,
    bids: book.bids(limit),
    asks: book.asks(limit),
  };
  if (state.depthCache.size >= CACHE_BODIES_MAX) state.depthCache.clear();
  state.depthCache.set(limit, { at: nowMs, body });
  return { is: "depth", body };
}
