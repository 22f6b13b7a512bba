/**
 * Whether what is known of a channel can be trusted.
 *
 * Invariant: it is fresh only while it runs on the node, is caught up, has data, and neither the node nor the chain says
 * otherwise.
 */
import type { StaleReason } from "./events.ts";

export class Trust {
  running = false;
  hasData = false;
  /** The node says it is stale. */
  staleBySource = false;
  /** Something is missing and was asked for. */
  broken = false;
  /** It is behind until it stands at this seq. */
  target: number | null = null;
  #shown: "waiting" | "fresh" | "stale" = "waiting";

  get state(): "waiting" | "fresh" | "stale" {
    return this.#shown;
  }

  /** There is no connection any more. */
  disconnected(): void {
    this.running = false;
    this.staleBySource = false;
    this.broken = false;
    this.target = null;
  }

  get isFresh(): boolean {
    const { running, hasData, staleBySource, broken, target } = this;
    return running && hasData && !staleBySource && !broken && target === null;
  }

  /** What has changed since the last look; null: nothing. */
  look(): "fresh" | StaleReason | null {
    const { isFresh, staleBySource, broken } = this;
    if (isFresh === (this.#shown === "fresh") || (!isFresh && this.#shown === "waiting")) return null;
    this.#shown = isFresh ? "fresh" : "stale";
    if (isFresh) return "fresh";
    return broken ? "chain" : staleBySource ? "source" : "connection";
  }
}
