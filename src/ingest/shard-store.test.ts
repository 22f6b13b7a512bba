import { expect, test } from "bun:test";
import { nextTurn } from "../lib/fake-clock.ts";
import { type CheckpointStore, MemoryCheckpoints } from "./checkpoint.ts";
import { json, rig } from "./testing/rig.ts";

test("shard - a store that could not be looked at is well again with the next checkpoint, also if nobody looks", async () => {
  const memory = new MemoryCheckpoints();
  let isAway = true;
  const checkpoints: CheckpointStore = {
    load: (shard) => memory.load(shard),
    save: (shard, checkpoint) => memory.save(shard, checkpoint),
    head: () => (isAway ? Promise.reject(new Error("away")) : Promise.resolve(null)),
  };
  const { shard, clock } = rig([], { checkpoints });
  await shard.start();
  // A shard that has nothing to save looks every two seconds.
  await clock.run(2500);
  expect(shard.status().checkpointError).toBe("away");
  isAway = false;
  shard.accept({ type: "data", value: [json(1_767_225_600_000, "1")], offset: 0, receivedUs: 0 });
  await clock.run(1000);
  await nextTurn();
  expect(shard.status()).toMatchObject({ checkpointError: null, checkpointErrors: 1 });
  await shard.stop();
});
