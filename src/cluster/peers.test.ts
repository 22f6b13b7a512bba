import { expect, test } from "bun:test";
import fc from "fast-check";
import { ownerOf, peerId } from "./peers.ts";

const shards = Array.from({ length: 3000 }, (_, n) => `route-${n % 7}/kafka/trades/${n}`);
const ownersOf = (peers: readonly string[]) => shards.map((shard) => ownerOf(shard, undefined, peers).owner);

test("peers - a peer's id is the sha256 of its node's name: the sample's owner is the node 1", () => {
  expect(peerId("1")).toBe("6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
});

test("peers - a route's own peer owns its shards; one that nobody has leaves an orphan, which is assigned like the others", () => {
  const peers = ["a", "b", "c"];
  for (const shard of shards.slice(0, 50)) {
    expect(ownerOf(shard, peerId("b"), peers)).toEqual({ owner: "b", orphan: false });
    expect(ownerOf(shard, peerId("gone"), peers)).toEqual({ ...ownerOf(shard, undefined, peers), orphan: true });
  }
});

test("peers - the owner depends on the names alone, not on their order", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 6 }),
      fc.string(),
      (peers, key) => {
        const { owner, orphan } = ownerOf(key, undefined, peers);
        expect(peers).toContain(owner);
        expect(orphan).toBe(false);
        expect(ownerOf(key, undefined, [...peers].reverse()).owner).toBe(owner);
      },
    ),
    { numRuns: 50 },
  );
});

test("peers - shards spread evenly, and a peer more or less moves only its own", () => {
  const three = ownersOf(["a", "b", "c"]);
  for (const peer of ["a", "b", "c"]) {
    const share = three.filter((owner) => owner === peer).length / shards.length;
    expect(share).toBeGreaterThan(0.29);
    expect(share).toBeLessThan(0.38);
  }
  const four = ownersOf(["a", "b", "c", "d"]);
  const moved = four.filter((owner, at) => owner !== three[at]);
  expect(new Set(moved)).toEqual(new Set(["d"]));
  expect(moved.length / shards.length).toBeGreaterThan(0.2);
  expect(moved.length / shards.length).toBeLessThan(0.3);
  const two = ownersOf(["a", "c"]);
  expect(two.filter((owner, at) => three[at] !== "b" && owner !== three[at])).toEqual([]);
});
