/**
 * The contract of a dialect: what a client's frame means, and what our replies look like.
 *
 * On the path: listener -> session -> DIALECT -> commands (edge/session). Encoding of publications is encoder.ts.
 * Invariants: decoding never throws; every refusal is a frame with a code of codes.ts (or Binance's own number on its wire).
 */
import type { Position } from "../channel/types.ts";
import type { Form, Rung } from "../ring/messages.ts";

/**
 * The id a client put on a command, echoed with the same JSON type; undefined: it had none. A bigint is an integer that a
 * double cannot hold. Only the dialect that read it writes it.
 */
export type CommandId = string | number | bigint | boolean | null | undefined;

/** One stream of a subscribe: the name as asked, and what it resolves to. */
export interface StreamRequest {
  readonly asked: string;
  /** Channel name to look up (the engine decides whether it is known). */
  readonly channel: string;
  readonly rung: Rung;
  readonly since: Position | null;
}

export type Command =
  | {
      readonly op: "subscribe";
      readonly id: CommandId;
      readonly streams: readonly StreamRequest[];
      readonly bad: readonly StreamError[];
    }
  | { readonly op: "unsubscribe"; readonly id: CommandId; readonly asked: readonly string[] }
  | { readonly op: "subscriptions"; readonly id: CommandId }
  | { readonly op: "ping"; readonly id: CommandId }
  | { readonly op: "resync"; readonly id: CommandId; readonly asked: string }
  | { readonly op: "cadence"; readonly id: CommandId; readonly asked: string; readonly rung: Rung }
  /** Binance SET_PROPERTY / GET_PROPERTY "combined". */
  | { readonly op: "setCombined"; readonly id: CommandId; readonly value: boolean }
  | { readonly op: "getCombined"; readonly id: CommandId }
  /** Nothing to do but to send `frame`; `code` is counted. */
  | { readonly op: "refused"; readonly code: number; readonly frame: string };

export interface StreamError {
  readonly asked: string;
  readonly code: number;
  readonly message: string;
}

/** How one stream of a subscribe ended: running at a position, or refused with a code. */
export interface StreamOutcome {
  readonly asked: string;
  readonly epoch: string;
  readonly seq: number | null;
  readonly rung: Rung;
  readonly recovered: boolean;
}

/** Text put before and after a payload. */
export interface Envelope {
  readonly before: string;
  readonly after: string;
}

/** What a connection's URL decided. */
export interface Opening {
  readonly market: string;
  readonly form: Form;
  /** Binance: wrap in {"stream","data"}; may be changed by SET_PROPERTY. */
  readonly combined: boolean;
  /** Binance USD-M: the only streams that are delivered here are those of this route. */
  readonly route?: string;
  /** Streams named in the URL, subscribed at once, without a reply. Unknown ones are ignored. */
  readonly streams: readonly StreamRequest[];
}

export interface Dialect {
  readonly name: Form["dialect"];
  /** From the request path (the endpoint's prefix included) and query; a string is the reason for a 400. */
  open(market: string, path: string, query: URLSearchParams): Opening | string;
  decode(frame: string, opening: Opening): Command;
  envelope(asked: string, combined: boolean): Envelope;

  /**
   * Sent when the last known stream of the command is running; at once if it has none. Also the reply to `resync`.
   * Null if the dialect has no word.
   */
  subscribed(id: CommandId, outcomes: readonly StreamOutcome[], errors: readonly StreamError[]): string | null;
  unsubscribed(id: CommandId, asked: readonly string[]): string;
  subscriptions(id: CommandId, streams: readonly StreamOutcome[]): string;
  pong(id: CommandId): string;
  /** Answer to cadence: sent at once; the native push {"type":"cadence"} follows when the move has happened. */
  cadenceAccepted(id: CommandId, asked: string, rung: Rung): string;
  /** Push after a move, null if the dialect has no word. Reason: `client` or `slow`. */
  cadenceChanged(asked: string, rung: Rung, reason: "client" | "slow"): string | null;
  /**
   * Push before the first frame after a slow session was left out: `missed` of the items from `from` to `to` are lost
   * (null: nobody knows how many). Null if the dialect has no word.
   */
  gap(asked: string, missed: number | null, from: number, to: number): string | null;
  property(id: CommandId, value: boolean | null): string;
  /** An error reply to one command. */
  refusal(id: CommandId, code: number, message: string, asked?: string): string;
  /** Over the subscription limit, in this dialect's words. */
  tooManySubscriptions(id: CommandId, max: number): string;
  /**
   * Announces a drain; null if the dialect has no word. `nowMs` for its timestamp. `opening.combined` is what the
   * connection is now, SET_PROPERTY included.
   */
  drain(opening: Opening, nowMs: number, afterMs: number): string | null;
}
