/** What a session wants from its node, and what verifies it: one implementation for each dialect. */
import type { Histogram } from "../histogram.ts";

/** Shared by all sessions that want the same names. */
export interface FeedPlan {
  readonly names: readonly string[];
  readonly indexOf: ReadonlyMap<string, number>;
  /** One of the names has books to keep. */
  readonly hasBook: boolean;
  /** The subscribe command; its `id` is that of its reply. */
  readonly command: Readonly<Record<string, unknown>> & { readonly id: number };
  readonly subscribeFrame: Buffer;
}

/** The node's answer to the subscribe. */
export interface Subscribed {
  readonly begun: number;
  /** Of these, with everything since the position we had. */
  readonly recovered: number;
  readonly refused: readonly string[];
}

export interface Feed {
  /** What to send when the socket is open; null: the URL said it. */
  subscribe(): Buffer | null;
  /** The socket is gone; another one may follow. */
  lost(): void;
  /** What to send so that kept books are compared with the node's. */
  recheck(): readonly Buffer[];
  /** One message; not null if it was the answer to the subscribe. */
  text(bytes: Buffer, from: number, to: number, latency: Histogram): Subscribed | null;
}
