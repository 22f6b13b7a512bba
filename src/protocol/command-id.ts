/**
 * The id a client puts on a command: read without losing a digit, and written back as it came.
 *
 * Invariants: an integer that a double cannot hold is a bigint, so that its echo equals what was sent.
 */
import type { CommandId } from "./dialect.ts";
import { scanJson } from "./json.ts";

/** The exact value of the top-level `id` of a frame, where JSON.parse gave the number `parsed`. */
export function exactNumber(parsed: number, frame: string): number | bigint {
  if (Number.isSafeInteger(parsed) || !Number.isInteger(parsed)) return parsed;
  const span = scanJson(frame).fields.get("id");
  const text = span === undefined ? "" : frame.slice(span.start, span.end);
  return /^-?\d+$/.test(text) ? BigInt(text) : parsed;
}

/** JSON text of an id; undefined has none and is left out by the caller. */
export function idText(id: Exclude<CommandId, undefined>): string {
  return typeof id === "string" ? JSON.stringify(id) : String(id);
}
