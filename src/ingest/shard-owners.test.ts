/** A shard and its checkpoint store: who owns it, and what happens while the store is away. */
import { expect, test } from "bun:test";
import { type FakeClock, nextTurn } from "../lib/fake-clock.ts";
import { type Checkpoint, type CheckpointStore, MemoryCheckpoints } from "./checkpoint.ts";
import { withoutState } from "./checkpoints/serialise.ts";
import { CEILING_STEP } from "./numbering.ts";
import type { RecordSink, SourceRecord } from "./source.ts";
import { data, json, ListSource, type Rig, recordsOf, rig } from "./testing/rig.ts";

const T = 1_767_225_600_000;

const record = (offset: number, position?: string): SourceRecord => ({
  type: "data",
  value: [json(T, `${offset}`)],
  offset,
  receivedUs: 0,
  ...(position === undefined ? {} : { position }),
});

/** A store that can be away, and that lets writers race. */
class Store implements CheckpointStore {
  readonly kept = new MemoryCheckpoints();
  isAway = false;
  /** What a load waits for before it answers. */
  gate: Promise<void> = Promise.resolve();

  async load(shard: string): Promise<Checkpoint | null> {
    this.#answer();
    const loaded = await this.kept.load(shard);
    await this.gate;
    return loaded;
  }

  async save(shard: string, checkpoint: Checkpoint): Promise<boolean> {
    await nextTurn();
    this.#answer();
    return this.kept.save(shard, checkpoint);
  }

  async head(shard: string) {
    this.#answer();
    return this.kept.head(shard);
  }

  #answer(): void {
    if (this.isAway) throw new Error("the store is away");
  }
}

const settle = async (): Promise<void> => {
  for (let turns = 0; turns < 20; turns++) await nextTurn();
};

/** Lets time pass and all that waits for it happen. */
const pass = (clock: FakeClock, ms: number): Promise<void> => clock.run(ms, settle);

const published = (one: Rig): number => one.bus.published.length;

test("owners - the newer of two stops the older, also one that is idle and saves nothing", async () => {
  const checkpoints = new Store();
  const older = rig([], { checkpoints });
  await older.shard.start();
  await pass(older.clock, 3000);
  expect(older.shard.status().failure).toBeNull();
  const newer = rig([], { checkpoints });
  await newer.shard.start();
  expect(newer.shard.status().token).toBeGreaterThan(older.shard.status().token);
  await pass(older.clock, 2500);
  expect(older.shard.status().failure).toBe("a newer owner has taken it");
  older.shard.accept(record(0));
  expect(published(older)).toBe(0);
  expect(older.bus.serving.size).toBe(0);
  await pass(newer.clock, 5000);
  expect(newer.shard.status().failure).toBeNull();
  for (const one of [older, newer]) await one.shard.stop();
});

test("owners - two that take a shard at the same moment: one of them has it in the end, the other falls silent", async () => {
  const checkpoints = new Store();
  const before = rig([], { checkpoints });
  await before.shard.start();
  await before.shard.stop();
  const gate = Promise.withResolvers<void>();
  checkpoints.gate = gate.promise;
  const both = [rig([], { checkpoints }), rig([], { checkpoints })];
  const started = Promise.all(both.map((one) => one.shard.start()));
  await settle();
  gate.resolve();
  await started;
  expect(new Set(both.map((one) => one.shard.status().token)).size).toBe(2);
  for (const one of both) one.shard.accept(record(0));
  for (const one of both) await pass(one.clock, 3000);
  const newest = Math.max(...both.map((one) => one.shard.status().token));
  for (const one of both) {
    const { token, failure } = one.shard.status();
    expect(failure).toBe(token === newest ? null : "a newer owner has taken it");
  }
  for (const one of both) await one.shard.stop();
});

test("owners - a lease's token is what it is: one that is not above another owner's does not start", async () => {
  const checkpoints = new Store();
  const first = rig([], { checkpoints, more: { token: 7 } });
  await first.shard.start();
  for (const token of [6, 7]) {
    const late = rig([], { checkpoints, more: { token } });
    await expect(late.shard.start()).rejects.toThrow("a newer owner");
    await late.shard.stop();
  }
  const next = rig([], { checkpoints, more: { token: 8 } });
  await next.shard.start();
  await pass(first.clock, 2500);
  expect(first.shard.status().failure).toBe("a newer owner has taken it");
  for (const one of [first, next]) await one.shard.stop();
});

test("store away - a shard that starts waits for it and says so; stopping it meanwhile ends the wait", async () => {
  const checkpoints = new Store();
  checkpoints.isAway = true;
  const one = rig(recordsOf([data(json(T, "1"))]), { checkpoints });
  const started = one.shard.start();
  await pass(one.clock, 3500);
  expect(one.shard.status()).toMatchObject({ checkpointError: "the store is away", failure: null });
  expect(one.shard.status().checkpointErrors).toBeGreaterThan(2);
  checkpoints.isAway = false;
  await pass(one.clock, 1000);
  await started;
  await one.source.through;
  expect(one.shard.status().checkpointError).toBeNull();
  expect(published(one)).toBe(1);
  checkpoints.isAway = true;
  const other = rig([], { checkpoints });
  const waiting = other.shard.start();
  await pass(other.clock, 1500);
  await other.shard.stop();
  await waiting;
  await one.shard.stop();
  expect(one.clock.pending + other.clock.pending).toBe(0);
});

test("store away - a shard that runs goes on under its ceiling, holds back at it, and goes on when the store is back", async () => {
  const checkpoints = new Store();
  const one = rig([], { checkpoints });
  await one.shard.start();
  const { ceiling, base } = one.shard.status();
  checkpoints.isAway = true;
  one.shard.accept(record(0));
  await pass(one.clock, 5000);
  one.shard.accept(record(ceiling - base));
  expect(published(one)).toBe(2);
  expect(one.shard.status()).toMatchObject({ checkpointError: "the store is away", held: 0, failure: null });
  one.shard.accept(record(ceiling - base + 1));
  one.shard.accept(record(ceiling - base + 2));
  await pass(one.clock, 60_000);
  expect(published(one)).toBe(2);
  expect(one.shard.status()).toMatchObject({ held: 2, ceiling, failure: null });
  expect(one.shard.busy()).not.toBeNull();
  // Counted each time; the store tells it once (checkpoints/told.ts).
  expect(one.shard.status().checkpointErrors).toBeGreaterThan(50);
  checkpoints.isAway = false;
  await pass(one.clock, 2000);
  expect(published(one)).toBe(4);
  expect(one.shard.busy()).toBeNull();
  expect(one.shard.status()).toMatchObject({ held: 0, checkpointError: null });
  expect(one.shard.status().ceiling).toBeGreaterThanOrEqual(ceiling + CEILING_STEP / 2);
  await one.shard.stop();
});

test("store away - taken by another meanwhile: silent as soon as it is heard, and nothing overwritten", async () => {
  const checkpoints = new Store();
  const older = rig([], { checkpoints });
  await older.shard.start();
  // Only the older one cannot reach the store.
  const theirs: CheckpointStore = checkpoints.kept;
  checkpoints.isAway = true;
  older.shard.accept(record(0));
  await pass(older.clock, 3000);
  const newer = rig([], { checkpoints: theirs });
  await newer.shard.start();
  checkpoints.isAway = false;
  await pass(older.clock, 1500);
  expect(older.shard.status().failure).toBe("a newer owner has taken it");
  expect((await theirs.load("shard-1"))?.token).toBe(newer.shard.status().token);
  for (const one of [older, newer]) await one.shard.stop();
});

test("positions - the last record's is saved with its offset, given back to the source, and told when it is stored", async () => {
  const commits: unknown[] = [];
  const positions: unknown[] = [];
  class Asking extends ListSource {
    commit(offset: number, position: string | null): void {
      commits.push([offset, position]);
    }

    override run(sink: RecordSink, from: number | null, signal: AbortSignal, position?: string | null): Promise<void> {
      positions.push(position);
      return super.run(sink, from, signal);
    }
  }
  const checkpoints = new Store();
  const source = new Asking([record(0, "5-1"), record(1, "5-2")]);
  const first = rig([], { checkpoints, more: { source } });
  await first.shard.start();
  await source.through;
  await first.shard.stop();
  expect((await checkpoints.load("shard-1"))?.position).toBe("5-2");
  expect(commits.at(-1)).toEqual([1, "5-2"]);
  const again = new Asking([record(0, "5-1"), record(1, "5-2")]);
  const second = rig([], { checkpoints, more: { source: again } });
  await second.shard.start();
  await again.through;
  await second.shard.stop();
  expect(positions).toEqual([null, "5-2"]);
});

test("owners - a checkpoint whose state cannot be read: a new epoch above its ceiling, from the start of the source", async () => {
  const first = rig(recordsOf([data(json(T, "1")), data(json(T, "2"))]), { checkpoints: new Store() });
  await first.shard.start();
  await first.source.through;
  const { token, ceiling, base, epoch } = first.shard.status();
  await first.shard.stop();
  const checkpoints = new Store();
  // As a store gives it that finds only the head readable.
  await checkpoints.kept.save("shard-1", withoutState({ token, owner: "other", epoch, base, ceiling, offset: 1 }));
  const second = rig(recordsOf([data(json(T, "1"))]), { checkpoints, more: { randomId: () => "another" } });
  await second.shard.start();
  await second.source.through;
  expect(second.source.from).toBeNull();
  const now = second.shard.status();
  expect(now.epoch).toBe("another");
  expect(now.base).toBeGreaterThan(ceiling);
  expect(now.token).toBeGreaterThan(token);
  await second.shard.stop();
});
