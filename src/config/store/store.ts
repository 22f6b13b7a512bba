/**
 * The contract of a configuration store: where the dynamic configuration of a node or a cluster stands.
 *
 * Invariants: what a store gives is judged and complete; a document with a mistake is refused whole and told, and the
 * last good one stays.
 */
import type { ConfigChange } from "../dynamic/diff.ts";
import type { DynamicConfig } from "../dynamic/types.ts";

export interface StoreStatus {
  /** Documents that were taken, the first one included, and refused. */
  readonly taken: number;
  readonly refused: number;
  /** Why the newest document is not the one that runs; null if it is. */
  readonly error: string | null;
  /** Parts of the newest document that wait for a restart. */
  readonly waiting: readonly string[];
}

export interface ConfigStore {
  /** The first document. Rejects with GatewayError CONFIG, which names its mistakes. */
  load(): Promise<DynamicConfig>;
  /** Calls for each change a running node takes, one after the other; only after `load`. */
  watch(changed: (change: ConfigChange) => void): void;
  /** Looks now, as somebody asked for it, and says what came of it in any case. */
  reload(): Promise<void>;
  status(): StoreStatus;
  stop(): void;
}
