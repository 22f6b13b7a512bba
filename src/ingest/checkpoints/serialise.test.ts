import { expect, test } from "bun:test";
import fc from "fast-check";
import { nextTurn } from "../../lib/fake-clock.ts";
import type { Checkpoint, CheckpointStore } from "../checkpoint.ts";
import { delta, rig, snapshot, trade, trades } from "../testing/rig.ts";
import { deserialise, readHead, serialise, withoutState } from "./serialise.ts";

const HEAD = { token: 3, owner: "o", epoch: "k7", base: 5, ceiling: 10_000_005, offset: 12 };
const T = 1_767_225_600_000;

const text = fc.string({ unit: "grapheme", maxLength: 12 });
const plain = fc.jsonValue({ maxDepth: 1 });
/** Longer than what is written at once. */
const list = (): fc.Arbitrary<unknown[]> =>
  fc
    .tuple(plain, fc.nat(250))
    .map(([value, length]) => Array.from({ length }, (_, at) => (at % 100 === 0 ? value : at)));
const state = fc.oneof(
  fc.record({ form: fc.constantFrom("book", "items"), bids: plain, history: list() }),
  fc.record({ form: fc.constantFrom("value", "candles"), value: plain, closed: list() }),
);
const chain = fc.record({ channel: text, user: text, lastSeq: fc.option(fc.integer()), time: fc.integer(), state });

/** Any JSON where a checkpoint has state: the form does not depend on what books and candles are made of. */
const checkpoint = fc.record({
  ...{ token: fc.nat(), owner: text, epoch: text, base: fc.nat(), ceiling: fc.nat(), offset: fc.option(fc.nat()) },
  ...{ position: fc.option(text), incarnation: text, mapperVersion: text, provides: fc.array(text) },
  channels: fc.dictionary(text, chain, { maxKeys: 5 }),
  instruments: list(),
  tradeIds: fc.option(text),
  derivation: fc.record({ since: fc.option(fc.integer()), instruments: list() }),
  sourceTime: fc.nat(),
});

/** What JSON keeps: no -0. */
const kept = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test("serialise - any checkpoint comes back as it was, packed or not, however short the turns are", async () => {
  await fc.assert(
    fc.asyncProperty(checkpoint, fc.boolean(), fc.boolean(), async (value, pack, hurry) => {
      const one = value as unknown as Checkpoint;
      let now = 0;
      // A clock that races ends the turn behind every piece.
      const bytes = await serialise(one, { pack, ...(hurry ? { nowMs: () => (now += 10) } : {}) });
      expect(kept(await deserialise(bytes))).toEqual(kept(one));
      expect(readHead(bytes)).toMatchObject({ token: one.token, owner: one.owner, ceiling: one.ceiling });
    }),
    { numRuns: 30 },
  );
});

test("serialise - what a shard does while its cut is written does not get into it", async () => {
  let offset = 0;
  let price = 100;
  const give = (): void => {
    const book = offset % 50 === 0 ? snapshot : delta;
    const updates = [
      book(T + offset, { bids: [["99", `${++price}`]] }),
      trades([trade(T + 1000 * offset, `${price}`, "1")]),
    ];
    shard.accept({ type: "data", value: updates, offset: offset++, receivedUs: 1_000_000 + offset });
  };
  let now = 0;
  const written: [cut: string, bytes: Uint8Array][] = [];
  const checkpoints: CheckpointStore = {
    load: () => Promise.resolve(null),
    async save(_shard, cut) {
      const before = JSON.stringify(cut);
      // Behind each piece the turn ends, and the shard goes on.
      const nowMs = (): number => {
        if (cut.offset !== null) give();
        now += 10;
        return now;
      };
      written.push([before, await serialise(cut, { pack: false, nowMs })]);
      return true;
    },
  };
  const { shard, clock } = rig([], { checkpoints });
  await shard.start();
  for (let at = 0; at < 150; at++) give();
  clock.advance(1000);
  while (written.length < 2) await nextTurn();
  const given = offset;
  await shard.stop();
  expect(given).toBeGreaterThan(160);
  expect(written.length).toBeGreaterThan(2);
  for (const [cut, bytes] of written) expect(kept(await deserialise(bytes))).toEqual(JSON.parse(cut));
});

test("serialise - what cannot be read is refused with the reason; the head outlives the form", async () => {
  const bytes = Buffer.from(await serialise({ ...withoutState(HEAD), offset: 12 }, { pack: false }));
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = value;
    return copy;
  };
  const cases: readonly [Buffer, string][] = [
    [Buffer.from("nonsense, but long enough"), "no checkpoint"],
    [Buffer.alloc(0), "no checkpoint"],
    [changed(4, 9), "version 9"],
    [changed(5, 7), "packed in way 7"],
    [changed(5, 1), "cannot be read"],
    [changed(6, 200), "cut off"],
    [changed(10, 0x41), "head is no JSON"],
    [bytes.subarray(0, bytes.length - 1), "middle of a line"],
    [bytes.subarray(0, bytes.indexOf('{"is"')), "first line is missing"],
  ];
  for (const [wrong, reason] of cases) {
    const error = await deserialise(wrong).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "CHECKPOINT_FORMAT", message: expect.stringContaining(reason) });
  }
  expect(readHead(changed(4, 9))).toEqual(HEAD);
  expect(readHead(Buffer.from("nonsense"))).toBeNull();
});
