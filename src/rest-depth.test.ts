import { expect, test } from "bun:test";
import { BUS_VERSION, type Head } from "./bus/bus.ts";
import type { DepthReply } from "./engine/depth.ts";
import { createFakeClock } from "./lib/fake-clock.ts";
import { RestDepth } from "./rest-depth.ts";

const CHANNEL = "btcusdt@depth";

const headAt = (seq: number | null): Head => ({
  ...{ version: BUS_VERSION, shard: "s", token: 1, epoch: "e", offset: 1, source: "connected", provides: [] },
  full: true,
  last:
    seq === null
      ? []
      : [
          ["ethusdt@depth", "", 99],
          [CHANNEL, "", seq],
        ],
});

/** An engine whose book stands at `at`; `heads`: what the owner says, in order. */
function rig(at: number | null, heads: readonly (Head | null)[], isOwn = false, own = 7) {
  const asked: string[] = [];
  const stand = { at, reaches: true };
  const body = (): DepthReply =>
    stand.at === null
      ? { is: "unavailable" }
      : { is: "depth", body: { lastUpdateId: stand.at, time: 1, bids: [], asks: [] } };
  const left = [...heads];
  const depth = new RestDepth({
    engine: {
      depth: (_channel, _limit, atLeast) => {
        asked.push(`depth ${atLeast ?? ""}`.trim());
        return Promise.resolve(body());
      },
      reaches: (_channel, { epoch, seq }) => {
        asked.push(`reaches ${epoch} ${seq}`);
        if (stand.reaches) stand.at = seq;
        return Promise.resolve(stand.reaches);
      },
    },
    shardOf: () => ({ shard: "s", token: 7 }),
    isOwn: (_shard, token) => isOwn && token === own,
    heads: {
      of: (shard) => {
        asked.push(`head of ${shard}`);
        return Promise.resolve(left.shift() ?? null);
      },
    },
    heard: ({ full, last }) => {
      asked.push(`heard ${full ? "all" : ""}${last.map(([name, , seq]) => `${name} ${seq}`)}`);
    },
    clock: createFakeClock(),
  });
  return { depth, asked, stand };
}

test("rest depth - a book that is fed here is answered without asking anybody", async () => {
  const { depth, asked } = rig(5, [], true);
  expect(await depth.of(CHANNEL, 10)).toMatchObject({ lastUpdateId: 5 });
  expect(asked).toEqual(["depth"]);
});

test("rest depth - a book that was fed here, and is by another node now, is not answered on this node's word", async () => {
  const { depth, asked } = rig(5, [headAt(8)], true, 6);
  expect(await depth.of(CHANNEL, 10)).toMatchObject({ lastUpdateId: 8 });
  expect(asked).toEqual(["depth", "head of s", `heard ${CHANNEL} 8`, "reaches e 8", "depth 8"]);
});

test("rest depth - another node's waits until it has come where its owner stands", async () => {
  const { depth, asked } = rig(5, [headAt(8)]);
  expect(await depth.of(CHANNEL, 10)).toMatchObject({ lastUpdateId: 8 });
  expect(asked).toEqual(["depth", "head of s", `heard ${CHANNEL} 8`, "reaches e 8", "depth 8"]);
});

test("rest depth - none is answered if there is no book, no owner, nothing of it at the owner, or it is not reached", async () => {
  expect(await rig(null, [headAt(8)]).depth.of(CHANNEL, 10)).toBeNull();
  expect(await rig(5, []).depth.of(CHANNEL, 10)).toBeNull();
  expect(await rig(5, [headAt(null)]).depth.of(CHANNEL, 10)).toBeNull();
  const late = rig(5, [headAt(8)]);
  late.stand.reaches = false;
  expect(await late.depth.of(CHANNEL, 10)).toBeNull();
});
