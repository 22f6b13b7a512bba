/**
 * Peers: the nodes that may own shards, and which of them owns which.
 *
 * Invariants: pure, so every node that knows the same peers comes to the same owner without asking anybody; a peer more or
 * less moves only the shards it gets or had (rendezvous hashing).
 */
import { createHash } from "node:crypto";

/** What routes call a node: the sha256 of its name in hex. */
export const peerId = (name: string): string => createHash("sha256").update(name).digest("hex");

export interface Ownership {
  /** Name of the node. */
  readonly owner: string;
  /** The route names a peer that nobody has. */
  readonly orphan: boolean;
}

/** Who owns a shard: the peer that its route names, else the one that hashing gives. `peers` holds at least one name. */
export function ownerOf(shard: string, routePeerId: string | undefined, peers: readonly string[]): Ownership {
  const named = routePeerId === undefined ? undefined : peers.find((name) => peerId(name) === routePeerId);
  if (named !== undefined) return { owner: named, orphan: false };
  return { owner: highest(shard, peers), orphan: routePeerId !== undefined };
}

/** The peer whose hash together with `key` is the highest. */
function highest(key: string, peers: readonly string[]): string {
  let best = "";
  let bestWeight = -1;
  for (const name of peers) {
    const weight = weightOf(name, key);
    if (weight > bestWeight || (weight === bestWeight && name < best)) {
      best = name;
      bestWeight = weight;
    }
  }
  return best;
}

/** 48 bits: whole as a number. */
const weightOf = (name: string, key: string): number =>
  createHash("sha256").update(`${name}\n${key}`).digest().readUIntBE(0, 6);
