import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Depth, Level, Publication } from "../../channel/types.ts";
import { RecentChanges } from "./recent-changes.ts";

const level = fc.tuple(fc.constantFrom("1", "1.0", "2", "3", "4"), fc.constantFrom("0", "5", "6"));
const side = fc.array(level, { maxLength: 4 });
const deltas = fc.array(fc.record({ bids: side, asks: side }), { maxLength: 12 });

const publication = (data: Depth, index: number): Publication => ({
  channel: "btcusdt@depth",
  kind: "depth",
  user: "",
  type: "delta",
  data,
  time: 0,
  seq: (index + 1) * 3,
  prev: index === 0 ? null : index * 3,
  receivedUs: 1,
});

/** The plain way: the newest quantity of each price, in the order of the last changes. */
function merged(publications: readonly Publication[], pick: (depth: Depth) => readonly Level[]): Level[] {
  const levels = new Map<string, Level>();
  for (const p of publications)
    for (const one of pick(p.data as Depth)) {
      levels.delete(one[0]);
      levels.set(one[0], one);
    }
  return [...levels.values()];
}

test("recent changes - for every position asked for, in any order, what a merge of its own would give", () => {
  fc.assert(
    fc.property(deltas, fc.array(fc.nat(40), { maxLength: 8 }), (changes, positions) => {
      const all = changes.map(publication);
      const recent = new RecentChanges(all.length * 3);
      for (const after of positions) {
        const missed = all.filter(({ seq }) => seq > after);
        expect(recent.since(after, missed)).toEqual({
          bids: merged(missed, ({ bids }) => bids),
          asks: merged(missed, ({ asks }) => asks),
        });
      }
    }),
  );
});
