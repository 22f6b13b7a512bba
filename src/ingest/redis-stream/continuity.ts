/**
 * Whether a stream goes on where we stand in it, or has lost entries that we never saw.
 *
 * Beside the path: the reader asks XINFO STREAM and reads right behind it on one connection; here both are held against our
 * place. A pure function: no clock, no connection.
 * What is found: the key was deleted (and perhaps made again), a failover or a flush took entries back, entries were trimmed
 * before we had read them. What an operator takes out of the middle (XDEL) is no loss: it is simply not there.
 * Before Redis 7 nobody counts entries: then a place that lies before the oldest entry counts as a loss.
 */
import type { StreamInfo } from "./info.ts";
import { compareIds, type Place, START } from "./place.ts";

export type Break = "deleted" | "reset" | "trimmed";

export type Judgement =
  /** `place`: ours, with the ordinal put right. `exactUpTo`: counting is exact up to this id. */
  | { readonly is: "whole"; readonly place: Place; readonly exactUpTo: string }
  /** `place`: where to go on; the entries that were read are usable if `usable`. */
  | {
      readonly is: "broken";
      readonly cause: Break;
      readonly place: Place;
      readonly exactUpTo: string;
      readonly usable: boolean;
    };

const again = (cause: Break): Judgement => ({
  is: "broken",
  cause,
  // Nothing is there any more, or nobody knows how much was there before.
  place: { id: START, ordinal: cause === "deleted" ? 0 : null },
  exactUpTo: START,
  usable: false,
});

/**
 * `info`: null if there is no such key. `ids`: of the entries read behind `place`, right after `info`; there may be more.
 * `exactUpTo`: of the last judgement.
 */
export function judge(place: Place, exactUpTo: string, info: StreamInfo | null, ids: readonly string[]): Judgement {
  if (info === null) {
    if (place.id !== START) return again("deleted");
    return { is: "whole", place: { id: START, ordinal: 0 }, exactUpTo };
  }
  const { added, last, lastEntry, firstEntry, length, maxDeleted } = info;
  if (compareIds(last, place.id) < 0) return again("reset");
  if (added !== null && place.ordinal !== null && added < place.ordinal) return again("reset");

  const seen = countUpTo(ids, last);
  const newest = seen > 0 ? (ids[seen - 1] as string) : place.id;
  /** All that lay behind our place when Redis told, we have. */
  const isAll = lastEntry === null || compareIds(newest, lastEntry) >= 0;
  const isBefore = firstEntry === null ? compareIds(place.id, last) < 0 : compareIds(place.id, firstEntry) < 0;
  /** The oldest entry lies behind our place: something between may be gone. */
  const isPassed = place.id !== START && isBefore;

  if (added === null) {
    const missing = isPassed && place.id !== last;
    return missing ? trimmed({ id: place.id, ordinal: null }, last) : { is: "whole", place, exactUpTo };
  }
  if (!isAll) {
    if (place.id === START && place.ordinal === null) {
      const isDense = maxDeleted === null || compareIds(maxDeleted, firstEntry ?? START) < 0;
      return { is: "whole", place: { id: START, ordinal: isDense ? added - length : null }, exactUpTo };
    }
    if (!isPassed) return { is: "whole", place, exactUpTo };
    // All there is lies behind us.
    const missing = place.ordinal === null ? 1 : added - place.ordinal - length;
    // More is behind us than was ever added behind us: another stream.
    if (missing < 0) return again("reset");
    if (missing === 0) return { is: "whole", place, exactUpTo };
    const isDeletedFrom = maxDeleted !== null && compareIds(maxDeleted, place.id) > 0;
    return trimmed({ id: place.id, ordinal: isDeletedFrom ? null : added - length }, exactUpTo);
  }
  const ordinal = added - seen;
  const exact = { id: place.id, ordinal };
  const missing = place.ordinal === null ? (isPassed && place.id !== last ? 1 : 0) : ordinal - place.ordinal;
  if (missing < 0) return again("reset");
  const isDeletedFrom = maxDeleted !== null && compareIds(maxDeleted, exactUpTo) > 0;
  if (missing > 0 && (isPassed || !isDeletedFrom)) return trimmed(exact, last);
  return { is: "whole", place: exact, exactUpTo: last };
}

const trimmed = (place: Place, exactUpTo: string): Judgement => ({
  is: "broken",
  cause: "trimmed",
  place,
  exactUpTo,
  usable: true,
});

function countUpTo(ids: readonly string[], last: string): number {
  let count = ids.length;
  while (count > 0 && compareIds(ids[count - 1] as string, last) > 0) count--;
  return count;
}
