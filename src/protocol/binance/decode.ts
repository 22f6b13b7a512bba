/**
 * Binance control requests: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY.
 *
 * On the path: listener -> session -> DECODE -> commands.
 * Invariants: never throws; checks in the order JSON, method, id, params; keys it does not know are ignored; the words of
 * an error are those of Binance's server, positions included.
 * At the limit: more than STREAMS_MAX names in a request is `Too many subscriptions`.
 */
import { ERRORS } from "../codes.ts";
import { exactNumber } from "../command-id.ts";
import type { Command, CommandId, Opening } from "../dialect.ts";
import { place, scanJson } from "../json.ts";
import { error, tooManySubscriptions, WIRE } from "./replies.ts";
import { findStreams, isWellFormed } from "./streams.ts";

export const STREAMS_MAX = 1024;

const METHODS = ["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"] as const;
type Method = (typeof METHODS)[number];

const EXPECTED = METHODS.map((method) => `\`${method}\``).join(", ");
const ID_MAX = 2n ** 63n - 1n;
const ID_MIN = -(2n ** 63n);
const ID_TEXT = /^[A-Za-z0-9_-]{1,36}$/;

type Fields = Readonly<Record<string, unknown>>;

export function decode(frame: string, opening: Opening): Command {
  let fields: unknown;
  try {
    fields = JSON.parse(frame);
  } catch {
    // JSON.parse does not say where; the scan does. It finds nothing only where the parser ran out of stack.
    const { fault } = scanJson(frame);
    const at = fault ?? { what: "recursion limit exceeded", line: 1, column: frame.length };
    const msg = `Invalid JSON: ${at.what} at line ${at.line} column ${at.column}`;
    return { op: "refused", code: ERRORS.BAD_JSON.code, frame: error(undefined, WIRE.BAD_JSON, msg) };
  }
  if (!isObject(fields)) return invalid(undefined, missing(frame, "method"));
  const method = METHODS.find((known) => known === fields.method);
  if (method === undefined) return unknownMethod(fields, frame);
  const id = readId(fields.id, frame);
  if (id === undefined) return invalid(undefined, "request ID must be an unsigned integer");
  return readRequest(method, id, fields.params, frame, opening);
}

function readRequest(method: Method, id: CommandId, params: unknown, frame: string, opening: Opening): Command {
  if (method === "LIST_SUBSCRIPTIONS") {
    if (Array.isArray(params) && params.length > 0) return invalid(id, "too many parameters");
    return { op: "subscriptions", id };
  }
  if (params === undefined) return invalid(id, missing(frame, "params"));
  if (!Array.isArray(params)) return invalid(id, wrongType(frame, "params", params));
  switch (method) {
    case "SUBSCRIBE":
    case "UNSUBSCRIBE": {
      if (params.length > STREAMS_MAX) {
        return { op: "refused", code: ERRORS.TOO_MANY_SUBSCRIPTIONS.code, frame: tooManySubscriptions(id) };
      }
      if (!params.every(isWellFormed)) return invalid(id, "invalid stream", ERRORS.BAD_CHANNEL_NAME.code);
      if (method === "UNSUBSCRIBE") return { op: "unsubscribe", id, asked: [...new Set(params)] };
      return { op: "subscribe", id, streams: findStreams(opening.market, params, opening.route ?? null), bad: [] };
    }
    case "SET_PROPERTY":
      return readProperty(id, params, 2, (value) => {
        if (typeof value === "boolean") return { op: "setCombined", id, value };
        return refused(id, ERRORS.BAD_VALUE.code, WIRE.BAD_VALUE_TYPE, "Invalid value type: expected Boolean");
      });
    case "GET_PROPERTY":
      return readProperty(id, params, 1, () => ({ op: "getCombined", id }));
  }
}

function readProperty(
  id: CommandId,
  params: readonly unknown[],
  most: number,
  read: (value: unknown) => Command,
): Command {
  const [name, value] = params;
  if (typeof name !== "string") return invalid(id, "property name must be a string");
  if (params.length > most) return invalid(id, "too many parameters");
  if (name !== "combined") return refused(id, ERRORS.BAD_VALUE.code, WIRE.UNKNOWN_PROPERTY, "Unknown property");
  return read(value);
}

/** A 64-bit integer, a short name, or null; undefined if it is none of these. */
function readId(id: unknown, frame: string): CommandId {
  if (id === null) return null;
  if (typeof id === "string") return ID_TEXT.test(id) ? id : undefined;
  if (typeof id !== "number") return undefined;
  const exact = exactNumber(id, frame);
  if (typeof exact === "bigint") return exact >= ID_MIN && exact <= ID_MAX ? exact : undefined;
  return Number.isSafeInteger(exact) ? exact : undefined;
}

function refused(id: CommandId, code: number, wire: number, msg: string): Command {
  return { op: "refused", code, frame: error(id, wire, msg) };
}

function invalid(id: CommandId, what: string, code: number = ERRORS.BAD_COMMAND.code): Command {
  return refused(id, code, WIRE.BAD_REQUEST, `Invalid request: ${what}`);
}

function unknownMethod(fields: Fields, frame: string): Command {
  const { method } = fields;
  const id = readId(fields.id, frame);
  if (method === undefined) return invalid(id, missing(frame, "method"));
  const span = scanJson(frame).fields.get("method");
  if (typeof method === "string") {
    const name = method.length > 64 ? `${method.slice(0, 64)}...` : method;
    const what = `unknown variant \`${name}\`, expected one of ${EXPECTED}${where(frame, span?.end ?? frame.length)}`;
    return invalid(id, what, ERRORS.UNKNOWN_OP.code);
  }
  return invalid(id, `expected value${where(frame, (span?.start ?? 0) + 1)}`);
}

const missing = (frame: string, field: string): string =>
  `missing field \`${field}\`${where(frame, scanJson(frame).end)}`;

function wrongType(frame: string, field: string, value: unknown): string {
  const end = scanJson(frame).fields.get(field)?.end ?? frame.length;
  return `invalid type: ${typeName(value)}, expected a sequence${where(frame, end)}`;
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "boolean") return `boolean \`${value}\``;
  if (typeof value === "number") return `${Number.isInteger(value) ? "integer" : "floating point"} \`${value}\``;
  return typeof value === "string" ? "string" : "map";
}

function where(frame: string, index: number): string {
  const { line, column } = place(frame, index);
  return ` at line ${line} column ${column}`;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
