/**
 * Binance's replies and errors on a stream socket. Never wrapped in the combined envelope.
 *
 * On the path: commands -> REPLIES -> session's socket.
 * Invariants: key order is the wire's (`result`, `id`; `error`, `id`); an error without a valid id has none.
 */
import { ERRORS } from "../codes.ts";
import { idText } from "../command-id.ts";
import type { CommandId, Envelope, Opening, StreamError, StreamOutcome } from "../dialect.ts";

/** Binance's own numbers on a stream socket. */
export const WIRE = {
  UNKNOWN_PROPERTY: 0,
  BAD_VALUE_TYPE: 1,
  BAD_REQUEST: 2,
  BAD_JSON: 3,
  TOO_MANY_SUBSCRIPTIONS: 4,
  DISCONNECTED: -1001,
} as const;

const TRY_AGAIN = "Internal error; unable to process your request. Please try again.";

export function envelope(asked: string, combined: boolean): Envelope {
  if (!combined) return { before: "", after: "" };
  return { before: `{"stream":${JSON.stringify(asked)},"data":`, after: "}" };
}

export function result(id: CommandId, text: string): string {
  return `{"result":${text}${tail(id)}`;
}

export function error(id: CommandId, code: number, msg: string): string {
  return `{"error":{"code":${code},"msg":${JSON.stringify(msg)}}${tail(id)}`;
}

const tail = (id: CommandId): string => (id === undefined ? "}" : `,"id":${idText(id)}}`);

/** Unknown streams succeed silently, as at Binance; a stream the node cannot serve now must not. */
export function subscribed(id: CommandId, _outcomes: readonly StreamOutcome[], errors: readonly StreamError[]): string {
  const bad = errors.find((one) => one.code !== ERRORS.UNKNOWN_CHANNEL.code);
  return bad === undefined ? result(id, "null") : refusal(id, bad.code, bad.message);
}

export function subscriptions(id: CommandId, streams: readonly StreamOutcome[]): string {
  return result(id, JSON.stringify(streams.map((stream) => stream.asked)));
}

/** An error of codes.ts in Binance's numbers and words. */
export function refusal(id: CommandId, code: number, message: string): string {
  switch (code) {
    case ERRORS.BAD_JSON.code:
      return error(id, WIRE.BAD_JSON, `Invalid JSON: ${message}`);
    case ERRORS.TOO_MANY_SUBSCRIPTIONS.code:
      return tooManySubscriptions(id);
    case ERRORS.UNAVAILABLE.code:
      return error(id, WIRE.DISCONNECTED, TRY_AGAIN);
    case ERRORS.BAD_CHANNEL_NAME.code:
      return error(id, WIRE.BAD_REQUEST, "Invalid request: invalid stream");
    default:
      return error(id, WIRE.BAD_REQUEST, `Invalid request: ${message}`);
  }
}

export function tooManySubscriptions(id: CommandId): string {
  return error(id, WIRE.TOO_MANY_SUBSCRIPTIONS, "Too many subscriptions");
}

/** Spot tells its clients that the server goes away; USD-M has no word for it. */
export function drain(opening: Opening, nowMs: number): string | null {
  if (opening.market !== "spot") return null;
  const time = opening.form.timeUnit === "us" ? nowMs * 1000 : nowMs;
  const { before, after } = envelope("!serverShutdown", opening.combined);
  return `${before}{"e":"serverShutdown","E":${time}}${after}`;
}
