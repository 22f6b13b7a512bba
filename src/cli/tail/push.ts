/** What the native dialect sends, as far as `tail` understands it (docs/protocol.md). */
import type { Level } from "../../channel/types.ts";

interface Numbered {
  readonly channel: string;
  readonly epoch?: string;
  readonly seq: number;
  /** Source time in ms. */
  readonly time: number;
  /** The node's wall clock at encoding. */
  readonly sentUs: number;
}

interface Levels {
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
}

/** `prev` on a snapshot: it is in the chain, the end of `stale`. */
export type SnapshotPush = Numbered & {
  readonly type: "snapshot";
  readonly prev?: number | null;
  readonly data: Levels;
};
export type DeltaPush = Numbered & { readonly type: "delta"; readonly prev: number | null; readonly data: Levels };
export type ValuePush = Numbered & { readonly type: "value"; readonly prev: number | null; readonly data: unknown };
export type ItemsPush = Numbered & {
  readonly type: "items";
  readonly prev: number | null;
  readonly data: readonly unknown[];
};
export interface GapPush {
  readonly channel: string;
  readonly type: "gap";
  readonly epoch?: string;
  readonly missed: number | null;
  readonly from: number;
  readonly to: number;
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

export interface Reply {
  readonly id?: number;
  readonly ok?: boolean;
  readonly channels?: Readonly<Record<string, { readonly epoch: string; readonly seq: number | null }>>;
  readonly error?: ReplyError;
  readonly errors?: readonly ReplyError[];
}

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
