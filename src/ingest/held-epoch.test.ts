/**
 * An epoch record that waits for a higher ceiling: the source has gone over to its new numbers already, the shard has not.
 * What was saved meanwhile named the new incarnation of the source beside an offset of the old one, and the next owner
 * passed over the start of the new one; and a checkpoint stored meanwhile gave the source an offset of the old one to commit.
 */
import { expect, test } from "bun:test";
import { type Checkpoint, type CheckpointStore, MemoryCheckpoints } from "./checkpoint.ts";
import { CEILING_STEP } from "./numbering.ts";
import type { SourceRecord } from "./source.ts";
import { json, ListSource, rig } from "./testing/rig.ts";

const T = 1_767_225_600_000;
const FAR = 3 * CEILING_STEP;

const record = (offset: number): SourceRecord => ({
  type: "data",
  value: [json(T, `${offset}`)],
  offset,
  receivedUs: 0,
});

/** A topic that can be made anew. */
class TopicSource extends ListSource {
  incarnation = "first";
  isNew = false;
  readonly commits: (readonly [incarnation: string, offset: number])[] = [];

  madeAnew(): void {
    this.isNew = true;
  }

  commit(offset: number): void {
    this.commits.push([this.incarnation, offset]);
  }

  /** As sources do: they go over to the new numbers, and say so in the same turn. */
  recreate(offset: number): void {
    this.incarnation = "second";
    this.sink?.accept({ type: "epoch", offset, receivedUs: 0, position: "0" });
  }
}

/** Keeps all that is saved; a save settles when its gate does. */
class SlowStore implements CheckpointStore {
  readonly saved: Checkpoint[] = [];
  readonly #memory = new MemoryCheckpoints();
  gate: Promise<void> = Promise.resolve();

  load(shard: string): Promise<Checkpoint | null> {
    return this.#memory.load(shard);
  }

  async save(shard: string, checkpoint: Checkpoint): Promise<boolean> {
    this.saved.push(checkpoint);
    await this.gate;
    return this.#memory.save(shard, checkpoint);
  }
}

async function started() {
  const checkpoints = new SlowStore();
  const source = new TopicSource([]);
  const one = rig([], { checkpoints, more: { source } });
  await one.shard.start();
  return { ...one, checkpoints, source };
}

test("held epoch - what is saved while it waits is of the incarnation that its offset is of", async () => {
  const { shard, clock, source, checkpoints } = await started();
  const gate = Promise.withResolvers<void>();
  checkpoints.gate = gate.promise;
  shard.accept(record(5));
  source.recreate(FAR);
  await clock.run(0);
  expect(shard.status().held).toBe(1);
  const meanwhile = checkpoints.saved.at(-1) as Checkpoint;
  expect(meanwhile).toMatchObject({ offset: 5, incarnation: "first" });
  gate.resolve();
  await clock.run(0);
  expect(shard.status()).toMatchObject({ held: 0, offset: null, epoch: "epoch-2" });
  await clock.run(1000);
  expect(checkpoints.saved.at(-1)).toMatchObject({ offset: null, position: "0", incarnation: "second" });
  await shard.stop();

  // The owner dies with no more than that stored; the next one finds the topic made anew.
  const after = new MemoryCheckpoints();
  await after.save("shard-1", meanwhile);
  const again = new TopicSource([]);
  again.incarnation = "second";
  const next = rig([], { checkpoints: after, more: { source: again } });
  await next.shard.start();
  expect({ from: again.from, isNew: again.isNew }).toEqual({ from: null, isNew: true });
  await next.shard.stop();
});

test("held epoch - a checkpoint stored while it waits commits nothing: its offset is of the numbers before", async () => {
  const { shard, clock, source, checkpoints } = await started();
  const gate = Promise.withResolvers<void>();
  checkpoints.gate = gate.promise;
  shard.accept(record(5));
  await clock.run(1000);
  // On its way: its ceiling is too low for what comes now.
  expect(checkpoints.saved.at(-1)?.offset).toBe(5);
  source.recreate(FAR);
  gate.resolve();
  await clock.run(1000);
  expect(shard.status()).toMatchObject({ held: 0, epoch: "epoch-2" });
  shard.accept(record(7));
  await clock.run(1000);
  expect(source.commits).toEqual([["second", 7]]);
  await shard.stop();
});
