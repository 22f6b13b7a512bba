/**
 * Where a reader stands in a stream: the id of the last entry it handed on, and which entry of the stream's life that was.
 *
 * Ids (`1526919030474-55`) are two whole numbers of up to 64 bits, so they are compared as text. The ordinal (Redis 7 counts
 * entries ever added) tells how many entries lie between two places, which ids cannot.
 */

export const START = "0-0";

export interface Place {
  readonly id: string;
  /** Entries ever added up to and with this one; null if not known. */
  readonly ordinal: number | null;
}

/** Below 0, 0 or above 0 as of numbers. */
export function compareIds(a: string, b: string): number {
  const [aTime = "", aCount = "0"] = a.split("-");
  const [bTime = "", bCount = "0"] = b.split("-");
  return compareDigits(aTime, bTime) || compareDigits(aCount, bCount);
}

function compareDigits(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Ids that Redis makes begin with the time in ms; chosen ones may be anything. */
const TIME_MIN = Date.UTC(2001, 0, 1);

/** Time of an id in ms; null if it is none. */
export function timeOf(id: string): number | null {
  const time = Number(id.split("-", 1)[0]);
  return time >= TIME_MIN && time <= Number.MAX_SAFE_INTEGER ? time : null;
}

/** As a checkpoint keeps it: `1526919030474-55` or, with the ordinal, `1526919030474-55#1044`. */
export const printPlace = ({ id, ordinal }: Place): string => (ordinal === null ? id : `${id}#${ordinal}`);

/** Null if the text is no place of ours. */
export function parsePlace(text: string): Place | null {
  const [, id, ordinal] = /^(\d{1,20}-\d{1,20})(?:#(\d{1,16}))?$/.exec(text) ?? [];
  return id === undefined ? null : { id, ordinal: ordinal === undefined ? null : Number(ordinal) };
}
