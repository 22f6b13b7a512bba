import { expect, test } from "bun:test";
import { type BookEvents, BookKeeper } from "./book-keeper.ts";
import { delta, snapshot } from "./testing/rig.ts";

const T = 1_767_225_600_000;

function keeper(over: Partial<BookEvents> = {}) {
  const told: string[] = [];
  const book = new BookKeeper({
    wrong: (cause) => told.push(`wrong ${cause}`),
    partial: () => told.push("partial"),
    ignored: () => told.push("ignored"),
    refused: (reason) => told.push(`refused ${reason}`),
    checksumOf: ({ bidCount, askCount }) => bidCount * 10 + askCount,
    isAuction: () => false,
    repairable: false,
    ...over,
  });
  return { book, told };
}

test("book keeper - levels that leave the window are dropped and published as zero, once per price", () => {
  const { book } = keeper();
  const bids: [string, string][] = [
    ["3", "1"],
    ["2", "1"],
    ["1", "1"],
  ];
  expect(book.take(snapshot(T, { bids, asks: [["9", "1"]] }, { window: 2 }))).toEqual({
    type: "snapshot",
    data: { bids: bids.slice(0, 2), asks: [["9", "1"]] },
  });
  // The new best pushes "2" out; "0.5" never gets in.
  expect(
    book.take(
      delta(
        T,
        {
          bids: [
            ["4", "1"],
            ["0.5", "7"],
          ],
        },
        { window: 2 },
      ),
    ),
  ).toEqual({
    type: "delta",
    data: {
      bids: [
        ["4", "1"],
        ["2", "0"],
        ["0.5", "0"],
      ],
      asks: [],
    },
  });
  expect(book.book.bids()).toEqual([
    ["4", "1"],
    ["3", "1"],
  ]);
});

test("book keeper - a wrong checksum: stale once, deltas ignored, one snapshot ends it", () => {
  const { book, told } = keeper();
  expect(book.take(snapshot(T, { bids: [["1", "1"]] }, { checksum: 10 }))?.type).toBe("snapshot");
  expect(book.take(delta(T, { bids: [["2", "1"]] }, { checksum: 20 }))?.type).toBe("delta");
  expect(book.take(delta(T, { bids: [["3", "1"]] }, { checksum: 7 }))).toEqual({ type: "stale", data: "checksum" });
  expect(book.stale).toBe(true);
  expect(book.take(delta(T, { bids: [["4", "1"]] }))).toBeNull();
  expect(book.take(snapshot(T, { bids: [["4", "1"]] }, { checksum: 7 }))).toBeNull();
  expect(book.take(snapshot(T, { bids: [["5", "1"]] }, { checksum: 10 }))).toEqual({
    type: "snapshot",
    data: { bids: [["5", "1"]], asks: [] },
  });
  expect(book.stale).toBe(false);
  expect(told).toEqual(["wrong checksum", "ignored", "wrong checksum"]);
});

test("book keeper - a crossed or locked book is wrong, unless a checksum vouches for it or it is an auction", () => {
  const crossing = { bids: [["5", "1"]] as [string, string][], asks: [["5.0", "1"]] as [string, string][] };
  const plain = keeper();
  plain.book.take(snapshot(T, { bids: [["1", "1"]] }));
  expect(plain.book.take(delta(T, crossing))).toEqual({ type: "stale", data: "crossed" });
  const vouched = keeper();
  vouched.book.take(snapshot(T, { bids: [["1", "1"]] }));
  expect(vouched.book.take(delta(T, crossing, { checksum: 21 }))?.type).toBe("delta");
  const auction = keeper({ isAuction: () => true });
  auction.book.take(snapshot(T, { bids: [["1", "1"]] }));
  expect(auction.book.take(delta(T, crossing))?.type).toBe("delta");
});

test("book keeper - a book that begins with a delta is partial and begins with a snapshot for its followers", () => {
  const { book, told } = keeper();
  expect(
    book.take(
      delta(T, {
        bids: [
          ["1", "1"],
          ["2", "0"],
        ],
      }),
    ),
  ).toEqual({
    type: "snapshot",
    data: { bids: [["1", "1"]], asks: [] },
  });
  expect(book.partial).toBe(true);
  expect(book.take(delta(T, { bids: [["2", "1"]] }))?.type).toBe("delta");
  // No snapshot ever comes: after a loss it starts over.
  expect(book.lost()).toEqual({ type: "stale", data: "reconnect" });
  expect(book.take(delta(T, { asks: [["3", "1"]] }))).toEqual({
    type: "snapshot",
    data: { bids: [], asks: [["3", "1"]] },
  });
  expect(book.take(snapshot(T, { bids: [["1", "1"]] }))?.type).toBe("snapshot");
  expect(book.partial).toBe(false);
  expect(told).toEqual(["partial", "wrong reconnect", "partial"]);
});

test("book keeper - a level that is no number costs the whole book, for a change of it is lost", () => {
  const { book, told } = keeper();
  book.take(snapshot(T, { bids: [["1", "1"]] }));
  expect(
    book.take(
      delta(T, {
        bids: [
          ["2", "1"],
          ["3", "1e5"],
        ],
      }),
    ),
  ).toEqual({ type: "stale", data: "sequence" });
  expect(told).toEqual(["refused level", "wrong sequence"]);
});

test("book keeper - what was never shown is not said to be stale", () => {
  const { book } = keeper();
  expect(book.lost()).toBeNull();
  expect(book.take(snapshot(T, { bids: [["1", "1"]] }, { checksum: 0 }))).toBeNull();
  expect(book.stale).toBe(true);
  expect(book.state()).toBeNull();
  expect(book.take(delta(T, { bids: [["1", "1"]] }))).toBeNull();
  expect(book.take(snapshot(T, { bids: [["1", "1"]] }))?.type).toBe("snapshot");
});

test("book keeper - a source may say itself that a book is wrong; an empty delta publishes nothing", () => {
  const { book } = keeper();
  book.take(snapshot(T, { bids: [["1", "1"]] }));
  expect(book.take(delta(T, {}, { checksum: 10 }))).toBeNull();
  expect(book.take({ ...delta(T, {}), type: "stale", data: "sequence" })).toEqual({ type: "stale", data: "sequence" });
});
