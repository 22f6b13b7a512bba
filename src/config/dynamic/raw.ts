/** Looking into a document that may be wrong anywhere: what is not of the right type is not there. */

export type Raw = Readonly<Record<string, unknown>>;

export const isRaw = (value: unknown): value is Raw =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export interface RawEntry {
  readonly index: number;
  readonly entry: Raw;
}

/** The objects of a list, with their places in it. */
export function entriesOf(owner: Raw, list: string): readonly RawEntry[] {
  const all = Object.hasOwn(owner, list) ? owner[list] : [];
  if (!Array.isArray(all)) return [];
  return all.flatMap((entry: unknown, index) => (isRaw(entry) ? [{ index, entry }] : []));
}

/** A text that is not empty. */
export function textOf(entry: Raw, field: string): string | null {
  const value = Object.hasOwn(entry, field) ? entry[field] : undefined;
  return typeof value === "string" && value !== "" ? value : null;
}

/** How the source spells an instrument. */
export const spellingOf = (entry: Raw): string | null => textOf(entry, "spelling") ?? textOf(entry, "symbol");

/** The names of a list's entries. */
export const namesOf = (owner: Raw, list: string, field: string): readonly string[] =>
  entriesOf(owner, list).flatMap(({ entry }) => textOf(entry, field) ?? []);
