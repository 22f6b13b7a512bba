/**
 * Native commands: one JSON object per text frame, understood or refused field by field.
 *
 * On the path: listener -> session -> DECODE -> commands.
 * Invariants: never throws; a refusal names the field; fields it does not know are ignored; names are looked up as own
 * properties only.
 * At the limit: more than NAMES_MAX names in a command, or an id longer than ID_LENGTH_MAX, is refused.
 */
import type { Position } from "../../channel/types.ts";
import { RUNGS, type Rung, rungNotFaster } from "../../ring/messages.ts";
import { type CodeEntry, ERRORS } from "../codes.ts";
import { exactNumber } from "../command-id.ts";
import type { Command, CommandId, StreamError, StreamRequest } from "../dialect.ts";
import { scanJson } from "../json.ts";
import { canonicalName } from "../names.ts";
import { refusal } from "./replies.ts";

export const NAMES_MAX = 1024;
export const ID_LENGTH_MAX = 256;

const MALFORMED = `${ERRORS.BAD_CHANNEL_NAME.message}: use ${ERRORS.BAD_CHANNEL_NAME.advice}`;

type Fields = Readonly<Record<string, unknown>>;

/** Why a command is refused; a value, never thrown. */
class Fault {
  readonly entry: CodeEntry;
  readonly message: string;
  readonly channel: string | undefined;
  constructor(entry: CodeEntry, message: string, channel?: string) {
    this.entry = entry;
    this.message = message;
    this.channel = channel;
  }
}

export function decode(frame: string): Command {
  const fields = readFields(frame);
  if (fields instanceof Fault) return refuse(undefined, fields);
  const id = readId(fields.id, frame);
  if (id instanceof Fault) return refuse(undefined, id);
  const command = readCommand(id, fields);
  return command instanceof Fault ? refuse(id, command) : command;
}

function refuse(id: CommandId, fault: Fault): Command {
  return {
    op: "refused",
    code: fault.entry.code,
    frame: refusal(id, fault.entry.code, fault.message, fault.channel),
  };
}

function readFields(frame: string): Fields | Fault {
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch {
    // JSON.parse does not say where; the scan does. It finds nothing only where the parser ran out of stack.
    const { fault } = scanJson(frame);
    const where = fault === null ? "nested too deep" : `${fault.what} at line ${fault.line} column ${fault.column}`;
    return new Fault(ERRORS.BAD_JSON, `${ERRORS.BAD_JSON.message}: ${where}`);
  }
  if (isObject(value)) return value;
  return new Fault(ERRORS.BAD_COMMAND, `a command is a JSON object, this is ${show(value)}`);
}

function readId(id: unknown, frame: string): CommandId | Fault {
  if (typeof id === "number") {
    if (Number.isFinite(id)) return exactNumber(id, frame);
    return new Fault(ERRORS.BAD_VALUE, "id is a number out of range");
  }
  if (typeof id === "string" && id.length > ID_LENGTH_MAX) {
    return new Fault(ERRORS.BAD_VALUE, `id has ${id.length} characters, the most is ${ID_LENGTH_MAX}`);
  }
  if (id === undefined || id === null || typeof id === "string" || typeof id === "boolean") return id;
  return new Fault(ERRORS.BAD_VALUE, `id must be a string, a number, true, false or null; it is ${show(id)}`);
}

function readCommand(id: CommandId, fields: Fields): Command | Fault {
  switch (fields.op) {
    case "subscribe":
      return readSubscribe(id, fields);
    case "unsubscribe": {
      const asked = readNames(fields.channels);
      return asked instanceof Fault ? asked : { op: "unsubscribe", id, asked };
    }
    case "subscriptions":
    case "ping":
      return { op: fields.op, id };
    case "resync": {
      const asked = readName(fields.channel, "channel");
      return asked instanceof Fault ? asked : { op: "resync", id, asked };
    }
    case "cadence": {
      const asked = readName(fields.channel, "channel");
      if (asked instanceof Fault) return asked;
      const rung = readRung(fields.ms, "ms");
      return rung instanceof Fault ? rung : { op: "cadence", id, asked, rung };
    }
    case undefined:
      return new Fault(ERRORS.BAD_COMMAND, `op is missing: ${ERRORS.UNKNOWN_OP.advice}`);
    default:
      if (typeof fields.op !== "string")
        return new Fault(ERRORS.BAD_VALUE, `op must be a string; it is ${show(fields.op)}`);
      return new Fault(ERRORS.UNKNOWN_OP, `unknown op ${show(fields.op)}: ${ERRORS.UNKNOWN_OP.advice}`);
  }
}

function readSubscribe(id: CommandId, fields: Fields): Command | Fault {
  const names = readNames(fields.channels);
  if (names instanceof Fault) return names;
  const rung = fields.cadence === undefined ? 0 : readRung(fields.cadence, "cadence");
  if (rung instanceof Fault) return rung;
  const since = readSince(fields.since, names);
  if (since instanceof Fault) return since;
  const streams: StreamRequest[] = [];
  const bad: StreamError[] = [];
  for (const asked of names) {
    const channel = canonicalName(asked);
    if (channel !== null) streams.push({ asked, channel, rung, since: since.get(asked) ?? null });
    else bad.push({ asked, code: ERRORS.BAD_CHANNEL_NAME.code, message: MALFORMED });
  }
  return { op: "subscribe", id, streams, bad };
}

/** The distinct names of `channels`, in order. */
function readNames(value: unknown): string[] | Fault {
  if (!Array.isArray(value)) {
    return new Fault(ERRORS.BAD_VALUE, `channels must be an array of channel names; it is ${show(value)}`);
  }
  if (value.length === 0) return new Fault(ERRORS.BAD_VALUE, "channels is empty: it must name at least one channel");
  if (value.length > NAMES_MAX) {
    return new Fault(
      ERRORS.TOO_MANY_SUBSCRIPTIONS,
      `channels has ${value.length} names, the most in one command is ${NAMES_MAX}`,
    );
  }
  const names = new Set<string>();
  for (const [index, name] of value.entries()) {
    if (typeof name !== "string") {
      return new Fault(ERRORS.BAD_VALUE, `channels[${index}] must be a string; it is ${show(name)}`);
    }
    names.add(name);
  }
  return [...names];
}

function readName(value: unknown, field: string): string | Fault {
  if (typeof value !== "string")
    return new Fault(ERRORS.BAD_VALUE, `${field} must be a channel name; it is ${show(value)}`);
  if (canonicalName(value) !== null) return value;
  return new Fault(ERRORS.BAD_CHANNEL_NAME, MALFORMED, value);
}

/** The next rung that is not faster than asked. */
function readRung(ms: unknown, field: string): Rung | Fault {
  if (typeof ms !== "number" || !(ms >= 0)) {
    return new Fault(ERRORS.BAD_VALUE, `${field} must be a number of milliseconds from 0 on; it is ${show(ms)}`);
  }
  const rung = rungNotFaster(ms);
  return rung ?? new Fault(ERRORS.BAD_VALUE, `${field} is too slow: the rungs are ${RUNGS.join(", ")} ms`);
}

function readSince(value: unknown, names: readonly string[]): Map<string, Position> | Fault {
  const positions = new Map<string, Position>();
  if (value === undefined) return positions;
  if (!isObject(value)) {
    return new Fault(ERRORS.BAD_VALUE, `since must be an object of positions by channel name; it is ${show(value)}`);
  }
  const known = new Set(names);
  for (const [name, position] of Object.entries(value)) {
    if (!known.has(name)) return new Fault(ERRORS.BAD_VALUE, "since names a channel that channels does not", name);
    const { epoch, seq } = isObject(position) ? position : {};
    if (typeof epoch !== "string" || epoch === "" || epoch.length > ID_LENGTH_MAX) {
      return new Fault(ERRORS.BAD_VALUE, "since: epoch must be the string of a reply or push", name);
    }
    if (!Number.isSafeInteger(seq) || Number(seq) < 0) {
      return new Fault(ERRORS.BAD_VALUE, "since: seq must be an integer from 0 on", name);
    }
    positions.set(name, { epoch, seq: Number(seq) });
  }
  return positions;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value in a sentence; never more than a few words of it. */
function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
