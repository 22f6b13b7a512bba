import { expect, test } from "bun:test";
import fc from "fast-check";
import { judge } from "./continuity.ts";
import { readStreamInfo, type StreamInfo } from "./info.ts";
import { compareIds, type Place, parsePlace, printPlace, START, timeOf } from "./place.ts";

/** A stream as Redis keeps it, small enough to be right by looking at it. */
class Stream {
  ids: string[] = [];
  last = START;
  added = 0;
  maxDeleted = START;
  #next = 1;

  add(count: number): void {
    for (let i = 0; i < count; i++) {
      this.last = `${this.#next++}-0`;
      this.ids.push(this.last);
      this.added++;
    }
  }

  trim(lengthMax: number): void {
    this.ids = this.ids.slice(Math.max(0, this.ids.length - lengthMax));
  }

  delete(id: string): void {
    this.ids = this.ids.filter((one) => one !== id);
    if (compareIds(id, this.maxDeleted) > 0) this.maxDeleted = id;
  }

  behind(id: string, count = Number.POSITIVE_INFINITY): string[] {
    return this.ids.filter((one) => compareIds(one, id) > 0).slice(0, count);
  }

  info(hasCounts = true): StreamInfo {
    return {
      length: this.ids.length,
      last: this.last,
      firstEntry: this.ids[0] ?? null,
      lastEntry: this.ids.at(-1) ?? null,
      added: hasCounts ? this.added : null,
      maxDeleted: hasCounts ? this.maxDeleted : null,
    };
  }
}

const at = (id: string, ordinal: number | null): Place => ({ id, ordinal });

test("continuity - a stream that goes on behind our place, read whole or in part, is whole and counted exactly", () => {
  const stream = new Stream();
  stream.add(10);
  expect(judge(at(START, null), START, stream.info(), stream.behind(START))).toEqual({
    is: "whole",
    place: at(START, 0),
    exactUpTo: "10-0",
  });
  expect(judge(at("4-0", 4), "4-0", stream.info(), stream.behind("4-0", 3))).toMatchObject({ place: at("4-0", 4) });
  expect(judge(at("10-0", 10), "10-0", stream.info(), [])).toMatchObject({ is: "whole", place: at("10-0", 10) });
});

test("continuity - a key that was never there is awaited, one that is gone is broken", () => {
  expect(judge(at(START, null), START, null, [])).toMatchObject({ is: "whole" });
  expect(judge(at("4-0", 4), "4-0", null, ["5-0"])).toEqual({
    is: "broken",
    cause: "deleted",
    place: at(START, 0),
    exactUpTo: START,
    usable: false,
  });
});

test("continuity - made again with lower ids, or with higher ones and fewer entries: reset from the start", () => {
  const again = new Stream();
  again.add(3);
  expect(judge(at("5-0", 5), "5-0", again.info(), [])).toMatchObject({ is: "broken", cause: "reset", usable: false });
  // The same by ids alone would look like entries 6 and 7 of the old stream.
  const later = new Stream();
  later.add(7);
  later.ids = ["6-0", "7-0"];
  later.added = 2;
  expect(judge(at("5-0", 5), "5-0", later.info(), later.ids)).toMatchObject({ is: "broken", cause: "reset" });
});

test("continuity - made again with higher ids and more entries than one read gives: reset at the first of them", () => {
  const again = new Stream();
  again.add(29);
  again.ids = again.ids.slice(9);
  again.added = 20;
  // 20 entries behind "5-0", the fifth of its stream: nobody could have added more than 15 there.
  const judged = judge(at("5-0", 5), "5-0", again.info(), again.behind("5-0", 3));
  expect(judged).toMatchObject({ is: "broken", cause: "reset", usable: false });
});

test("continuity - trimmed behind our place is no loss, trimmed beyond it is one, told once", () => {
  const stream = new Stream();
  stream.add(10);
  stream.trim(5);
  expect(judge(at("5-0", 5), "5-0", stream.info(), stream.behind("5-0"))).toMatchObject({ is: "whole" });
  const broken = judge(at("4-0", 4), "4-0", stream.info(), stream.behind("4-0"));
  expect(broken).toMatchObject({ is: "broken", cause: "trimmed", usable: true, place: at("4-0", 5) });
  expect(judge(broken.place, broken.exactUpTo, stream.info(), stream.behind("4-0"))).toMatchObject({ is: "whole" });
  // Only part of it was read: the count of what is there decides.
  expect(judge(at("4-0", 4), "4-0", stream.info(), stream.behind("4-0", 2))).toMatchObject({ is: "broken" });
  expect(judge(at("5-0", 5), "5-0", stream.info(), stream.behind("5-0", 2))).toMatchObject({ is: "whole" });
});

test("continuity - trimmed to nothing: whole if all of it was read", () => {
  const stream = new Stream();
  stream.add(10);
  stream.trim(0);
  expect(judge(at("10-0", 10), "10-0", stream.info(), [])).toMatchObject({ is: "whole" });
  const broken = judge(at("9-0", 9), "9-0", stream.info(), []);
  expect(broken).toMatchObject({ is: "broken", cause: "trimmed" });
  expect(judge(broken.place, broken.exactUpTo, stream.info(), [])).toMatchObject({ is: "whole" });
});

test("continuity - what XDEL takes out of the middle is no loss", () => {
  const stream = new Stream();
  stream.add(10);
  stream.delete("7-0");
  const judged = judge(at("5-0", 5), "5-0", stream.info(), stream.behind("5-0"));
  expect(judged).toEqual({ is: "whole", place: at("5-0", 6), exactUpTo: "10-0" });
});

test("continuity - before Redis 7: a place before the oldest entry is a loss", () => {
  const stream = new Stream();
  stream.add(10);
  expect(judge(at("4-0", null), "4-0", stream.info(false), stream.behind("4-0"))).toMatchObject({ is: "whole" });
  stream.trim(5);
  expect(judge(at("4-0", null), "4-0", stream.info(false), [])).toMatchObject({ is: "broken", cause: "trimmed" });
  stream.trim(0);
  expect(judge(at("10-0", null), "10-0", stream.info(false), [])).toMatchObject({ is: "whole" });
});

test("continuity - over any life of a stream: entries that were trimmed unread are told, and nothing else is", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("add" as const), n: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ do: fc.constant("trim" as const), n: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ do: fc.constant("read" as const), n: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ do: fc.constant("ask" as const), n: fc.integer({ min: 1, max: 9 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const stream = new Stream();
      let place = at(START, null);
      let exactUpTo = START;
      /** Added behind our place and trimmed before we read it, not told yet. */
      let lost = 0;
      // A reader asks before it reads for the first time.
      let hasAsked = false;
      const take = (ids: readonly string[]): void => {
        for (const id of ids) place = at(id, place.ordinal === null ? null : place.ordinal + 1);
      };
      for (const { do: what, n } of steps) {
        if (what === "add") stream.add(n);
        if (what === "trim") {
          const before = stream.behind(place.id).length;
          stream.trim(n);
          // What went before the first reading is none of our business.
          if (hasAsked) lost += before - stream.behind(place.id).length;
        }
        if (what === "read" && hasAsked) take(stream.behind(place.id, n));
        if (what === "ask") {
          hasAsked = true;
          const ids = stream.behind(place.id, n);
          const judged = judge(place, exactUpTo, stream.added === 0 ? null : stream.info(), ids);
          const isAll = ids.length === stream.behind(place.id).length;
          if (judged.is === "broken") {
            expect(judged.cause).toBe("trimmed");
            expect(lost).toBeGreaterThan(0);
          }
          if (isAll && judged.is === "whole" && place.ordinal !== null) expect(lost).toBe(0);
          if (judged.is === "broken" || isAll) lost = 0;
          ({ place, exactUpTo } = judged);
          take(ids);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("place - ids are compared as the numbers they are, and printed with their ordinal", () => {
  expect(compareIds("9-1", "10-0")).toBeLessThan(0);
  expect(compareIds("10-2", "10-10")).toBeLessThan(0);
  expect(compareIds("18446744073709551615-1", "18446744073709551614-9")).toBeGreaterThan(0);
  expect(compareIds("5-5", "5-5")).toBe(0);
  for (const place of [at("5-1", null), at("1526919030474-55", 1044)])
    expect(parsePlace(printPlace(place))).toEqual(place);
  for (const text of ["", "5", "5-", "5-1#", "x-1", "5-1#x"]) expect(parsePlace(text)).toBeNull();
  expect(timeOf("1526919030474-55")).toBe(1_526_919_030_474);
  expect(timeOf("5-0")).toBeNull();
});

test("stream info - XINFO of Redis 7 and 6, and what is no answer of it", () => {
  const old = [
    "length",
    1,
    "last-generated-id",
    "5-0",
    "groups",
    0,
    "first-entry",
    ["5-0", ["a", "b"]],
    "last-entry",
    null,
  ];
  expect(readStreamInfo(old)).toEqual({
    length: 1,
    last: "5-0",
    firstEntry: "5-0",
    lastEntry: null,
    added: null,
    maxDeleted: null,
  });
  expect(readStreamInfo([...old, "entries-added", 9, "max-deleted-entry-id", "4-0"])).toMatchObject({
    added: 9,
    maxDeleted: "4-0",
  });
  expect(() => readStreamInfo(["length"])).toThrow("XINFO");
});
