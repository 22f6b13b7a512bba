/**
 * Taking a shard over: what of the last checkpoint its next owner goes on with, and where its numbers begin.
 *
 * Beside the path: checkpoint -> TAKE-OVER -> shard. Invariants: the same epoch goes on only where a replay makes the same
 * publications; any other begins above everything that may have been published under the checkpoint's ceiling.
 */
import type { Kind } from "../channel/types.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { freshBase, Numbering } from "./numbering.ts";
import type { Source } from "./source.ts";

/** What the next owner reads, and how. */
export interface Successor {
  readonly source: Pick<Source, "replayable" | "incarnation">;
  /** `name@version` */
  readonly mapperVersion: string;
  readonly provides: readonly Kind[];
  readonly wallUs: number;
  /** Makes the id of an epoch. */
  readonly randomId: () => string;
}

export interface Beginning {
  /** The source starts behind its offset. */
  readonly numbering: Numbering;
  /** What is stored: no seq may pass it. */
  readonly ceiling: number;
  readonly position: string | null;
  /** What of the checkpoint goes on: `all` in the same epoch; or `books` alone, or nothing, in a new one. */
  readonly keeps: "all" | "books" | "nothing";
}

export function beginningOf(checkpoint: Checkpoint | null, next: Successor): Beginning {
  const place = checkpoint !== null && isPlace(checkpoint, next) ? checkpoint : null;
  if (place !== null && isSameReading(place, next)) {
    const { epoch, base, offset, ceiling, position } = place;
    return { numbering: new Numbering({ id: epoch, base }, offset), ceiling, position, keeps: "all" };
  }
  const base = freshBase(next.wallUs, checkpoint?.ceiling ?? null);
  const numbering = new Numbering({ id: next.randomId(), base }, place?.offset ?? null);
  // Another mapper, or other kinds derived: what was read is not read again, what follows is a new epoch.
  return {
    numbering,
    ceiling: base - 1,
    position: place?.position ?? null,
    keeps: place === null ? "nothing" : "books",
  };
}

/**
 * It says where in this source to go on. Not without a position: where the source begins then may be behind what an owner
 * before published.
 */
function isPlace({ offset, position, incarnation }: Checkpoint, { source }: Successor): boolean {
  return source.replayable && (offset !== null || position !== null) && incarnation === (source.incarnation ?? "");
}

/** The same mapper and the same derived kinds: the replay makes the same publications. */
function isSameReading({ provides, mapperVersion }: Checkpoint, next: Successor): boolean {
  const isSame = provides.length === next.provides.length && provides.every((kind) => next.provides.includes(kind));
  return isSame && mapperVersion === next.mapperVersion;
}

/** Its source is not the one there is now. '' is that of a checkpoint whose state is lost: it says nothing. */
export const isOfAnother = ({ incarnation }: Checkpoint, source: Pick<Source, "incarnation">): boolean =>
  incarnation !== "" && incarnation !== source.incarnation;
