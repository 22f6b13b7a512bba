import { expect, test } from "bun:test";
import { GatewayError } from "../../lib/errors.ts";
import { createFakeClock } from "../../lib/fake-clock.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { RecordingLog } from "../testing/rig.ts";
import { withoutState } from "./serialise.ts";
import { ToldCheckpoints } from "./told.ts";

const CHECKPOINT: Checkpoint = withoutState({ token: 1, owner: "o", epoch: "k7", base: 1, ceiling: 2, offset: null });

function stage() {
  const clock = createFakeClock();
  const log = new RecordingLog();
  /** What it does not do: `load`, or `save x` for one shard's. */
  const away = new Set<string>();
  const answer = <T>(what: string, shard: string, value: T): Promise<T> => {
    if (!away.has(what) && !away.has(`${what} ${shard}`)) return Promise.resolve(value);
    const cause = new Error("nobody listens");
    return Promise.reject(
      new GatewayError("CHECKPOINT_STORE", `the checkpoint of ${shard}: nobody listens`, { cause }),
    );
  };
  const store = new ToldCheckpoints(
    {
      load: (shard) => answer("load", shard, null),
      save: (shard) => answer("save", shard, true),
      head: (shard) => answer("head", shard, null),
      close: () => Promise.resolve(),
    },
    clock,
    log,
  );
  const told = () => log.lines.map(({ message }) => (message.includes("cannot") ? "away" : "back"));
  const save = (shard: string): Promise<unknown> => store.save(shard, CHECKPOINT).catch((error: Error) => error);
  return { clock, log, away, store, told, save };
}

test("told checkpoints - one line for all shards when the store goes, a reminder, one line when all of them have it back", async () => {
  const { clock, log, away, told, save } = stage();
  expect(await save("a")).toBe(true);
  away.add("save");
  for (let second = 0; second <= 30; second++) {
    expect(String(await save("a"))).toBe("GatewayError: the checkpoint of a: nobody listens");
    await save("b");
    clock.advance(1000);
  }
  expect(log.lines.map(({ fields }) => fields)).toMatchObject([
    { shard: "a", error: "nobody listens" },
    { shard: "a", error: "nobody listens", attempts: 61, seconds: 30 },
  ]);
  away.clear();
  await save("a");
  expect(told()).toEqual(["away", "away"]);
  await save("b");
  expect(told()).toEqual(["away", "away", "back"]);
});

test("told checkpoints - reading that works does not mean that writing does", async () => {
  const { away, store, told, save } = stage();
  away.add("save");
  for (let time = 0; time < 3; time++) {
    await save("a");
    await store.head("a");
    await store.load("b");
  }
  expect(told()).toEqual(["away"]);
});

test("told checkpoints - a shard that was stopped meanwhile keeps nobody from saying that the store is back", async () => {
  const { clock, away, told, save } = stage();
  away.add("save");
  await save("stopped");
  await save("a");
  away.clear();
  await save("a");
  expect(told()).toEqual(["away"]);
  clock.advance(31_000);
  await save("a");
  expect(told()).toEqual(["away", "back"]);
});
