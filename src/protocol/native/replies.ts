/**
 * Native replies and the pushes that are not publications.
 *
 * On the path: commands -> REPLIES -> session's socket.
 * Invariants: a reply begins with the command's id, if it had one; `ok` is on every reply that is not an error; whatever
 * a client wrote is escaped.
 */
import type { Rung } from "../../ring/messages.ts";
import { ERRORS } from "../codes.ts";
import { idText } from "../command-id.ts";
import type { CommandId, Envelope, StreamError, StreamOutcome } from "../dialect.ts";

const opening = (id: CommandId): string => (id === undefined ? "{" : `{"id":${idText(id)},`);

export function envelope(asked: string): Envelope {
  return { before: `{"channel":${JSON.stringify(asked)},`, after: "" };
}

/** `ok` is false only when nothing was started; then `error` is the first of `errors`. */
export function subscribed(id: CommandId, outcomes: readonly StreamOutcome[], errors: readonly StreamError[]): string {
  const channels = outcomes.map((outcome) => `${position(outcome)},"recovered":${outcome.recovered}}`).join(",");
  const first = errors[0];
  if (first === undefined) return `${opening(id)}"ok":true,"channels":{${channels}}}`;
  const list = errors.map((error) => `{"channel":${JSON.stringify(error.asked)},${codeAndMessage(error)}}`).join(",");
  if (outcomes.length > 0) return `${opening(id)}"ok":true,"channels":{${channels}},"errors":[${list}]}`;
  return `${opening(id)}"ok":false,"channels":{},"error":${errorObject(first)},"errors":[${list}]}`;
}

export function unsubscribed(id: CommandId, asked: readonly string[]): string {
  return `${opening(id)}"ok":true,"channels":${JSON.stringify(asked)}}`;
}

export function subscriptions(id: CommandId, streams: readonly StreamOutcome[]): string {
  return `${opening(id)}"ok":true,"channels":{${streams.map((stream) => `${position(stream)}}`).join(",")}}}`;
}

/** `"name":{"epoch":..,"seq":..,"cadence":..`, still open. */
function position(outcome: StreamOutcome): string {
  const { asked, epoch, seq, rung } = outcome;
  return `${JSON.stringify(asked)}:{"epoch":${JSON.stringify(epoch)},"seq":${seq},"cadence":${rung}`;
}

export function pong(id: CommandId): string {
  return `${opening(id)}"ok":true,"op":"pong"}`;
}

export function cadenceAccepted(id: CommandId, asked: string, rung: Rung): string {
  return `${opening(id)}"ok":true,"channel":${JSON.stringify(asked)},"cadence":${rung}}`;
}

export function cadenceChanged(asked: string, rung: Rung, reason: "client" | "slow"): string {
  return `{"channel":${JSON.stringify(asked)},"type":"cadence","ms":${rung},"reason":"${reason}"}`;
}

export function gap(asked: string, missed: number | null, from: number, to: number): string {
  return `{"channel":${JSON.stringify(asked)},"type":"gap","missed":${missed},"from":${from},"to":${to},"reason":"slow"}`;
}

export function refusal(id: CommandId, code: number, message: string, asked?: string): string {
  return `${opening(id)}"error":${errorObject({ code, message, ...(asked === undefined ? {} : { asked }) })}}`;
}

export function tooManySubscriptions(id: CommandId, max: number): string {
  const { code, message } = ERRORS.TOO_MANY_SUBSCRIPTIONS;
  return refusal(id, code, `${message}: a session may have ${max}`);
}

function errorObject(error: { readonly code: number; readonly message: string; readonly asked?: string }): string {
  const channel = error.asked === undefined ? "" : `,"channel":${JSON.stringify(error.asked)}`;
  return `{${codeAndMessage(error)}${channel}}`;
}

const codeAndMessage = (error: { readonly code: number; readonly message: string }): string =>
  `"code":${error.code},"message":${JSON.stringify(error.message)}`;

export function drain(afterMs: number): string {
  return `{"type":"drain","afterMs":${afterMs}}`;
}
