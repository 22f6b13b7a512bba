/**
 * Entries of a stream as records: the bytes of one field, or the whole entry as a JSON object of its fields.
 *
 * On the path: reader -> VALUES -> pipeline. Invariant: a field's bytes are handed on as they are; only a whole entry is made
 * into text, and bytes in it that are no UTF-8 become U+FFFD.
 */
import type { BrokerRecord } from "../broker.ts";
import { timeOf } from "./place.ts";

/** An entry as the connection gives it: `field, value, field, value, ...`. */
export interface Entry {
  readonly id: string;
  readonly fields: readonly Buffer[];
}

const FIELD_DEFAULT = "data";

/**
 * `field`: the one that holds the value; null: the only field of the entry, or else `data`. An entry without it is given
 * whole.
 */
export function recordOf(key: string, entry: Entry, field: string | null): BrokerRecord {
  const { id, fields } = entry;
  const value =
    (field === null && fields.length === 2 ? fields[1] : find(fields, field ?? FIELD_DEFAULT)) ?? whole(fields);
  return { topic: key, key: null, value, time: timeOf(id) };
}

function find(fields: readonly Buffer[], name: string): Buffer | undefined {
  for (let i = 0; i + 1 < fields.length; i += 2) if (String(fields[i]) === name) return fields[i + 1];
  return undefined;
}

function whole(fields: readonly Buffer[]): Uint8Array {
  const object: [string, string][] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) object.push([text(fields[i]), text(fields[i + 1])]);
  return new TextEncoder().encode(JSON.stringify(Object.fromEntries(object)));
}

const decoder = new TextDecoder();
const text = (bytes: Buffer | undefined): string => decoder.decode(bytes);

/** The reply of XREAD by key, in order: `[[key, [[id, [field, value, ...]], ...]], ...]` or null. */
export function readEntries(reply: unknown): Map<string, Entry[]> {
  const entries = new Map<string, Entry[]>();
  for (const [key, list] of (reply ?? []) as readonly [Buffer, readonly [Buffer, readonly Buffer[] | null][]][]) {
    entries.set(
      key.toString(),
      list.map(([id, fields]) => ({ id: id.toString("latin1"), fields: fields ?? [] })),
    );
  }
  return entries;
}
