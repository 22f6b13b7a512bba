/** What a client tells, and how one listens. */
import type { LevelDifference } from "./book.ts";
import type { TidegateError } from "./errors.ts";
import type { ChannelPush, Outcome } from "./frames.ts";

/** Items or candles that are missing. */
export interface Gap {
  readonly channel: string;
  /** null: nobody can know. */
  readonly missed: number | null;
  /** Seqs, both included. */
  readonly from: number;
  readonly to: number;
  /**
   * The node's: `source` (its source lost them), `slow` (we read too slowly), `history` (away for longer than the node
   * keeps them), `epoch` (a new numbering). Ours: `buffer` (the consumer of an iterator is too slow), `chain` (the
   * node could not mend a broken chain), `away` (a topic that turned out to be lossless, while there was no connection).
   */
  readonly reason: "source" | "slow" | "history" | "epoch" | "buffer" | "chain" | "away";
}

/**
 * Why something is not to be trusted: `source` (the node says so), `connection` (none just now, or it is not caught up
 * yet), `chain` (something is missing and was asked for).
 */
export type StaleReason = "source" | "connection" | "chain";

/** What happens to one subscription. */
export interface ChannelEvents {
  /** It runs on the node: after subscribing, and after each reconnect. */
  running: Outcome & { readonly channel: string };
  /** It was refused and ended. */
  refused: { readonly channel: string; readonly error: TidegateError };
  /** The node cannot serve it just now; it is asked again in `retryMs`. */
  delayed: { readonly channel: string; readonly error: TidegateError; readonly retryMs: number };
  /** Every push that continues the chain, in order and once. `restart`: what was known before is void. */
  push: { readonly push: ChannelPush; readonly raw: string; readonly restart: boolean };
  gap: Gap;
  stale: { readonly channel: string; readonly reason: StaleReason };
  /** It can be trusted (again). */
  fresh: { readonly channel: string };
  /** A new numbering began: positions from before mean nothing. */
  epoch: { readonly channel: string; readonly epoch: string; readonly previous: string };
  /** It now moves at `ms`: `client` (we asked) or `slow` (we do not keep up). */
  cadence: { readonly channel: string; readonly ms: number; readonly reason: string };
  /**
   * The node broke its promise: a push is missing before `push` and was asked for (`chain`), or the book was not what a
   * snapshot says (`different`) and was replaced by it.
   */
  broken: {
    readonly channel: string;
    readonly reason: "chain" | "different";
    readonly push: ChannelPush;
    readonly differences: readonly LevelDifference[];
  };
}

/** What happens to the client; the events of all its subscriptions are among them. */
export interface ClientEvents extends ChannelEvents {
  /** `again`: it was connected before, subscriptions go on from where they stood. */
  connected: { readonly url: string; readonly again: boolean };
  /** The connection is gone, or could not be made; it is tried again in `retryMs`. `first`: it never was connected. */
  lost: { readonly code: number; readonly reason: string; readonly retryMs: number; readonly first: boolean };
  /** The node stops in `afterMs`; we look for another one in `moveMs`. */
  drain: { readonly afterMs: number; readonly moveMs: number };
  /** A frame that is not of the native protocol, or a refusal of a command that is nobody's. */
  odd: { readonly frame: string };
}

export type Listener<Event> = (event: Event) => void;

export class Emitter<Events> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();

  /** Returns what takes the listener off. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void {
    let listeners = this.#listeners.get(name);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(name, listeners);
    }
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  hears(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  /** A listener that throws stops nobody: its error surfaces as an uncaught one. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of listeners as Set<Listener<Events[Name]>>) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
