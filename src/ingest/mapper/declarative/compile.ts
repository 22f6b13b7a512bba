/**
 * Declarative mappers: compiled once from the configuration to functions that bring a record into our canonical JSON,
 * which the canonical readers then take.
 *
 * On the path: source -> MAPPER -> derive. Invariants: pure; nothing is computed but the unit of a time; prices and
 * quantities stay digit by digit as they came. At the limit: what does not fit is malformed, with the path that failed;
 * of a list all elements fit or none is taken.
 */
import { createHash } from "node:crypto";
import type { Interval } from "../../../channel/kinds.ts";
import { spans } from "../../../channel/spans.ts";
import { type JsonPath, textAt } from "../../../lib/json-scan.ts";
import { oneEach } from "../../merge.ts";
import { type CanonicalTools, canonicalFault, canonicalReader, channels, type Part } from "../canonical.ts";
import type { Malformed, MappedUpdate, Mapper, Skipped } from "../mapper.ts";
import { FILTERED } from "../place.ts";
import { parsedAll } from "./exact.ts";
import { FIELDS } from "./fields.ts";
import { elementsOf, type Path } from "./path.ts";
import { condition, type FieldReader, fieldReader, MISFIT, pathOf } from "./readers.ts";
import type { DeclarativeSpec } from "./spec.ts";

/** A record or one of its elements, where it stands and as text. */
interface Piece {
  readonly record: unknown;
  readonly element: unknown;
  readonly path: JsonPath;
  readonly text: string;
}

type Fields = Record<string, unknown>;
type Read = (piece: Piece, told: string) => MappedUpdate | Malformed | Skipped;

/** `spec` has passed the checks of the configuration. */
export function createDeclarative(spec: DeclarativeSpec, tools: CanonicalTools): Mapper {
  const items = spec.items === undefined ? null : pathOf(spec.items);
  const ofRecord = condition(spec.when ?? {}, ({ fromRoot }) => items === null || fromRoot);
  const ofElement = condition(spec.when ?? {}, ({ fromRoot }) => items !== null && !fromRoot);
  const read = readerOf(spec, tools);
  const noList: Malformed = { malformed: `${spec.items}: want a list`, suspect: spec.kind === "depth" };
  return {
    name: spec.name,
    version: versionOf(spec),
    placed: tools.place !== undefined,
    map(value, told = "") {
      const found = parsedAll(value);
      if ("malformed" in found) return found;
      const record = found.json;
      const text = String(value);
      if (!ofRecord(record, record)) return FILTERED;
      if (items === null) {
        const update = read({ record, element: record, path: [], text }, told);
        return "malformed" in update || "skipped" in update ? update : [update];
      }
      const pieces = piecesOf(record, text, items);
      return pieces === null
        ? noList
        : readAll(
            pieces.filter(({ element }) => ofElement(record, element)),
            told,
            read,
          );
    },
  };
}

function piecesOf(record: unknown, text: string, items: Path): readonly Piece[] | null {
  return elementsOf(record, items)?.map(({ value, path }) => ({ record, element: value, path, text })) ?? null;
}

/** Elements of one channel are one update. */
function readAll(pieces: readonly Piece[], told: string, read: Read): readonly MappedUpdate[] | Malformed | Skipped {
  const updates: MappedUpdate[] = [];
  let skipped: Skipped = FILTERED;
  for (const piece of pieces) {
    const update = read(piece, told);
    if ("malformed" in update) return update;
    if ("skipped" in update) skipped = update;
    else updates.push(update);
  }
  return updates.length === 0 ? skipped : oneEach(updates, () => undefined);
}

function readerOf(spec: DeclarativeSpec, tools: CanonicalTools): Read {
  const { kind } = spec;
  const suspect = kind === "depth";
  const fields = fieldsReader(spec);
  const part = kind === "private" || kind === "json" ? payloadReader(spec) : canonicalPart(spec);
  const isNamed = kind === "private" && tools.place === undefined;
  const channelOf = isNamed ? () => spec.name : channels(tools);
  const stream = kind === "private" || kind === "json" ? "" : kind;
  return (piece, told) => {
    const found = fields(piece);
    if (typeof found === "string") return { malformed: found, suspect };
    const made = part(found, piece);
    if (made === null) {
      const why = (): string | null => faultText(spec.name, canonicalFault(kind, found));
      return { malformed: `${spec.name}: no sound ${kind}`, suspect, why };
    }
    const channel = channelOf(found, kind === "kline" ? `kline_${String(found.interval)}` : stream, told);
    if (typeof channel !== "string") return channel;
    return { channel, kind, user: "", time: found.time, ...made } as MappedUpdate;
  };
}

const faultText = (name: string, fault: string | null): string | null => (fault === null ? null : `${name}: ${fault}`);

/** The canonical fields of a piece, or the reason why there are none. */
function fieldsReader({ kind, fields, items }: DeclarativeSpec): (piece: Piece) => Fields | string {
  const prefix = items === undefined ? "" : `${items.replace(/\[\*\]$/, "")}[*].`;
  const readers = Object.entries(fields).map(
    ([name, spec]): FieldReader => fieldReader(name, spec, FIELDS[kind][name] ?? ANY, prefix),
  );
  return ({ record, element }) => {
    const found: Fields = { time: 0 };
    for (const { name, read, misfit } of readers) {
      const value = read(record, element);
      if (value === MISFIT) return misfit;
      if (value !== undefined) found[name] = value;
    }
    return found;
  };
}

const ANY = { type: "part", required: false } as const;

type PartOf = (fields: Fields, piece: Piece) => Part | null;

function canonicalPart({ kind }: DeclarativeSpec): PartOf {
  const read = canonicalReader(kind);
  if (kind !== "kline") return (fields) => read?.(fields, fields.time as number) ?? null;
  return (fields) => {
    if (fields.closeTime === undefined) {
      const { indexOf, startOf } = spans(fields.interval as Interval);
      fields.closeTime = startOf(indexOf(fields.openTime as number) + 1) - 1;
    }
    return read?.(fields, fields.time as number) ?? null;
  };
}

/** The payload is the record's own text, or that of a part of it, byte for byte. */
function payloadReader({ kind, fields, items }: DeclarativeSpec): PartOf {
  const { payload } = fields;
  const path = payload === undefined ? null : pathOf(typeof payload === "string" ? payload : (payload.path ?? "$"));
  const isWhole = path === null && items === undefined;
  return (found, piece) => {
    const at = path === null ? piece.path : [...(path.fromRoot ? [] : piece.path), ...(path.steps as JsonPath)];
    const text = isWhole ? piece.text : textAt(piece.text, at);
    if (text === null) return null;
    // JSON has line feeds only between its tokens.
    const data = { json: text.replace(/[\r\n]+/g, " ") };
    return kind === "json" ? { type: "value", data } : { type: "items", data: [data], user: String(found.user) };
  };
}

/** Of everything that decides what it makes, as a whole number. */
function versionOf({ version: _, name: __, ...rest }: DeclarativeSpec): number {
  return createHash("sha256").update(JSON.stringify(rest)).digest().readUIntBE(0, 6);
}
