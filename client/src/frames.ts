/**
 * Frames of the native dialect as a client gets them (docs/protocol.md): types, and reading one whole.
 *
 * On the path: socket -> FRAMES -> chain -> book.
 * Invariants: what is neither a push nor a reply is null, never a guess; reading never throws.
 */

/** `[price, quantity]` as the source wrote them; quantity zero in a delta removes the level. */
export type Level = readonly [price: string, quantity: string];

/** A snapshot's sides are sorted best first; a delta's levels are absolute quantities in any order. */
export interface Depth {
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
}

/** A place in a channel: positions of another epoch mean nothing in it. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

interface Numbered {
  readonly channel: string;
  readonly epoch?: string;
  readonly seq: number;
  /** Source time in ms. */
  readonly time: number;
  /** The node's wall clock at encoding, µs. */
  readonly sentUs: number;
}

/** `prev` on a snapshot: it is in the chain, the end of `stale`. */
export interface SnapshotPush extends Numbered {
  readonly type: "snapshot";
  readonly prev?: number | null;
  readonly data: Depth;
}
export interface DeltaPush extends Numbered {
  readonly type: "delta";
  readonly prev: number | null;
  /** The first publication merged into it; `seq` is the last. */
  readonly from?: number;
  readonly data: Depth;
}
export interface ValuePush<Data = unknown> extends Numbered {
  readonly type: "value";
  readonly prev: number | null;
  readonly data: Data;
}
export interface ItemsPush<Item = unknown> extends Numbered {
  readonly type: "items";
  readonly prev: number | null;
  readonly data: readonly Item[];
}
export interface GapPush {
  readonly channel: string;
  readonly type: "gap";
  readonly epoch?: string;
  /** null: nobody can know. */
  readonly missed: number | null;
  readonly from: number;
  readonly to: number;
  /** `source`, `slow`, `history` or `epoch`. */
  readonly reason: string;
}
export interface StalePush {
  readonly channel: string;
  readonly type: "stale";
}
export interface CadencePush {
  readonly channel: string;
  readonly type: "cadence";
  readonly ms: number;
  /** `client` (asked for) or `slow`. */
  readonly reason: string;
}
export interface DrainPush {
  readonly type: "drain";
  readonly afterMs: number;
}

export type DataPush = SnapshotPush | DeltaPush | ValuePush | ItemsPush;
export type ChannelPush = DataPush | GapPush | StalePush | CadencePush;
export type Push = ChannelPush | DrainPush;

export interface ReplyError {
  readonly code: number;
  readonly message: string;
  readonly channel?: string;
}

/** Where a subscription stands: of a reply to subscribe, resync and subscriptions. */
export interface Outcome {
  readonly epoch: string;
  /** null: the channel has never had a publication. */
  readonly seq: number | null;
  readonly cadence: number;
  readonly recovered?: boolean;
}

export interface Reply {
  readonly id?: number;
  readonly ok?: boolean;
  readonly op?: string;
  /** By name; the reply to an unsubscribe lists names only. */
  readonly channels?: Readonly<Record<string, Outcome>> | readonly string[];
  readonly channel?: string;
  readonly cadence?: number;
  readonly error?: ReplyError;
  readonly errors?: readonly ReplyError[];
}

/** The types of pushes; all but `drain` are about one channel. */
const TYPES: readonly unknown[] = ["snapshot", "delta", "value", "items", "gap", "stale", "cadence", "drain"];

/** A frame of the node as a push or a reply; null if it is neither. */
export function readFrame(text: string): { readonly push: Push } | { readonly reply: Reply } | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const { type, channel } = value as { type?: unknown; channel?: unknown };
  if (TYPES.includes(type) && (type === "drain" || typeof channel === "string")) return { push: value as Push };
  return "ok" in value || "error" in value ? { reply: value as Reply } : null;
}
