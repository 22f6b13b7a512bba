import { expect, test } from "bun:test";
import type { StateReply } from "./bus/bus.ts";
import { RestKept } from "./rest-kept.ts";

function rig() {
  const world = { reply: null as StateReply | null, silent: false };
  const kept = new RestKept({
    bus: { request: () => Promise.resolve(world.reply) },
    shards: () => [
      { shard: "books/0", silent: false },
      { shard: "trades/0", silent: world.silent },
    ],
  });
  return { world, kept };
}
const REPLY = { epoch: "1" } as unknown as StateReply;

test("rest kept - what nobody knows is nothing while all shards are heard", async () => {
  const { world, kept } = rig();
  expect(await kept.of("spot:btcusdt@trade")).toBeNull();
  world.reply = REPLY;
  expect(await kept.of("spot:btcusdt@trade")).toBe(REPLY);
});

test("rest kept - while a shard is silent nobody's answer is no answer", async () => {
  const { world, kept } = rig();
  world.silent = true;
  await expect(kept.of("spot:btcusdt@trade")).rejects.toMatchObject({ code: "BUS_NO_ANSWER" });
  world.reply = REPLY;
  expect(await kept.of("spot:btcusdt@trade")).toBe(REPLY);
});

test("rest kept - what an owner once answered for is not nothing when all have forgotten its shard", async () => {
  const { world, kept } = rig();
  world.reply = REPLY;
  for (let n = 0; n <= 10_000; n++) await kept.of(`c${n}`);
  world.reply = null;
  await expect(kept.of("c10000")).rejects.toMatchObject({ code: "BUS_NO_ANSWER" });
  expect(await kept.of("c0")).toBeNull();
});
