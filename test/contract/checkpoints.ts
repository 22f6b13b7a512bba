/**
 * The contract every CheckpointStore keeps, as tests over a factory (src/ingest/checkpoint.ts says it in words).
 *
 * A store passes by running `checkpointsContract(name, cases)` in a file of its own, with a real server where it has one.
 */
import { expect, test } from "bun:test";
import { Random } from "../../sim/random.ts";
import type { Publication } from "../../src/channel/types.ts";
import { type Checkpoint, type CheckpointStore, mayReplace } from "../../src/ingest/checkpoint.ts";
import { withoutState } from "../../src/ingest/checkpoints/serialise.ts";
import { ToldCheckpoints } from "../../src/ingest/checkpoints/told.ts";
import { RecordingLog } from "../../src/ingest/testing/rig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

export interface CheckpointsCases {
  /** A connection of its own to one and the same store; the test closes it. */
  readonly open: () => CheckpointStore;
  /** A store that keeps nothing in this process has a server that can go away. */
  readonly server?: {
    /** As above, but it gives up soon. */
    readonly open?: () => CheckpointStore;
    /** Kills it, brings it back with its data. */
    kill(): Promise<void>;
    restart(): Promise<void>;
    /** Stops it where it stands. */
    freeze(): void;
    thaw(): void;
  };
}

/** Far above what an answer may take, far below what a person would call hung. */
const ERROR_MS_MAX = 15_000;

let shards = 0;
const freshShard = (): string => `contract/${process.pid}/${++shards} "ü"`;

export const checkpointOf = (token: number, offset: number, more: Partial<Checkpoint> = {}): Checkpoint => ({
  ...withoutState({ token, owner: `owner-${token}`, epoch: "k7", base: 1_000_000, ceiling: 11_000_000, offset }),
  offset,
  mapperVersion: "trade_v1@1",
  ...more,
});

/** Books with long histories: above 5 MB of JSON, and above 1 MB packed. */
export function largeCheckpoint(token: number, offset: number): Checkpoint {
  const random = new Random(token);
  const level = (at: number): [string, string] => [`${60_000 + at / 100}`, `0.${random.below(1e9)}`];
  const publication = (at: number): Publication => ({
    channel: "btcusdt@depth",
    kind: "depth",
    user: "",
    time: 1_767_225_600_000 + at,
    type: "delta",
    data: { bids: Array.from({ length: 40 }, (_, n) => level(at + n)), asks: [level(at + 50)] },
    seq: 1_000_000 + at,
    prev: at === 0 ? null : 999_999 + at,
    receivedUs: 1_767_225_600_000_000 + at,
  });
  const chain = (channel: string) => ({
    channel,
    user: "",
    lastSeq: 1_000_000 + offset,
    time: 1_767_225_600_000,
    receivedUs: 1,
    state: {
      form: "book" as const,
      bids: Array.from({ length: 1000 }, (_, n) => level(n)),
      asks: [],
      begun: true,
      partial: false,
      stale: null,
      last: null,
      broken: false,
      history: Array.from({ length: 2000 }, (_, n) => publication(n)),
    },
  });
  return checkpointOf(token, offset, {
    position: "1526919030474-55#1044",
    channels: { "btcusdt@depth": chain("btcusdt@depth"), "ethusdt@depth": chain("ethusdt@depth") },
  });
}

export function checkpointsContract(name: string, { open, server }: CheckpointsCases): void {
  const using = async (use: (store: CheckpointStore) => Promise<void>, opened = open): Promise<void> => {
    const store = opened();
    try {
      await use(store);
    } finally {
      await store.close?.();
    }
  };

  test(`${name} - of a shard nobody saved there is nothing`, () =>
    using(async (store) => {
      const shard = freshShard();
      expect(await store.load(shard)).toBeNull();
      if (store.head !== undefined) expect(await store.head(shard)).toBeNull();
    }));

  test(`${name} - the newest wins, whole, for every connection`, () =>
    using(async (store) => {
      const shard = freshShard();
      await using(async (other) => {
        for (const offset of [0, 7, 8]) expect(await store.save(shard, checkpointOf(1, offset))).toBe(true);
        const newest = checkpointOf(1, 9, { position: "5-1#3", instruments: [], provides: ["trade", "depth"] });
        expect(await store.save(shard, newest)).toBe(true);
        expect(await other.load(shard)).toEqual(newest);
        expect(await store.load(shard)).toEqual(newest);
        const head = await other.head?.(shard);
        if (head !== undefined)
          expect(head).toMatchObject({ token: 1, owner: "owner-1", ceiling: 11_000_000, offset: 9 });
      });
    }));

  test(`${name} - an older token is refused and changes nothing; a newer one takes over`, () =>
    using(async (store) => {
      const shard = freshShard();
      await store.save(shard, checkpointOf(5, 50));
      expect(await store.save(shard, checkpointOf(4, 99))).toBe(false);
      expect(await store.load(shard)).toEqual(checkpointOf(5, 50));
      expect(await store.save(shard, checkpointOf(6, 10))).toBe(true);
      expect(await store.load(shard)).toEqual(checkpointOf(6, 10));
      expect(await store.save(shard, checkpointOf(5, 51))).toBe(false);
    }));

  test(`${name} - of two owners with one token the first stays`, () =>
    using(async (store) => {
      const shard = freshShard();
      expect(await store.save(shard, checkpointOf(3, 1, { owner: "a" }))).toBe(true);
      expect(await store.save(shard, checkpointOf(3, 2, { owner: "b" }))).toBe(false);
      expect(await store.save(shard, checkpointOf(3, 3, { owner: "a" }))).toBe(true);
      expect((await store.load(shard))?.offset).toBe(3);
    }));

  test(`${name} - two writers race: tokens never fall, and whoever is told "stored" was in order`, () =>
    using(async (a) => {
      await using(async (b) => {
        const shard = freshShard();
        const writes = Array.from({ length: 40 }, (_, at) => ({
          store: at % 2 === 0 ? a : b,
          token: 1 + ((at * 7) % 20),
        }));
        const stored = await Promise.all(
          writes.map(({ store, token }, at) => store.save(shard, checkpointOf(token, at, { owner: `o${at}` }))),
        );
        const tokens = writes.filter((_, at) => stored[at]).map(({ token }) => token);
        const last = await a.load(shard);
        expect(last?.token).toBe(Math.max(...writes.map(({ token }) => token)));
        expect(last?.token).toBe(Math.max(...tokens));
        // One owner each: a token that was stored twice had two owners.
        expect(new Set(tokens).size).toBe(tokens.length);
        expect(mayReplace(last!, checkpointOf(last!.token, 0, { owner: "other" }))).toBe(false);
      });
    }));

  test(
    `${name} - 5 MB come back as they were`,
    () =>
      using(async (store) => {
        const shard = freshShard();
        const large = largeCheckpoint(2, 77);
        expect(JSON.stringify(large).length).toBeGreaterThan(5_000_000);
        expect(await store.save(shard, large)).toBe(true);
        const loaded = await store.load(shard);
        expect(loaded?.channels["ethusdt@depth"]).toEqual(large.channels["ethusdt@depth"]);
        expect(JSON.stringify(loaded?.channels)).toBe(JSON.stringify(large.channels));
      }),
    TEST_MS_MAX,
  );

  test(`${name} - many shards, none touches another`, () =>
    using(async (store) => {
      const all = Array.from({ length: 200 }, () => freshShard());
      await Promise.all(all.map((shard, at) => store.save(shard, checkpointOf(1 + at, at))));
      const loaded = await Promise.all(all.map((shard) => store.load(shard)));
      expect(loaded.map((one) => one?.offset)).toEqual(all.map((_, at) => at));
    }));

  if (server === undefined) return;

  const refusal = async (ask: () => Promise<unknown>): Promise<void> => {
    const begun = performance.now();
    const error = await ask().then(
      () => null,
      (cause: unknown) => cause,
    );
    expect(error).toBeInstanceOf(GatewayError);
    expect((error as GatewayError).code).toBe("CHECKPOINT_STORE");
    expect(performance.now() - begun).toBeLessThan(ERROR_MS_MAX);
  };

  test(
    `${name} - a server that is away or hangs rejects within seconds; it is found again with what it had`,
    () =>
      using(async (bare) => {
        const log = new RecordingLog();
        const store = new ToldCheckpoints(bare as Required<CheckpointStore>, systemClock(), log);
        const shard = freshShard();
        // It may give up before a busy machine answers.
        const isStored = (offset: number) => (): Promise<boolean> =>
          store.save(shard, checkpointOf(3, offset)).then(
            (stored) => stored,
            () => false,
          );
        await waitFor(isStored(30), "stored");
        await server.kill();
        await refusal(() => store.load(shard));
        await refusal(() => store.save(shard, checkpointOf(3, 31)));
        await server.restart();
        const isBack = (): Promise<boolean> =>
          store.load(shard).then(
            (found) => found?.offset === 30,
            () => false,
          );
        await waitFor(isBack, "what was stored before");
        server.freeze();
        try {
          await Promise.all([refusal(() => store.save(shard, checkpointOf(3, 32))), refusal(() => store.load(shard))]);
        } finally {
          server.thaw();
        }
        // What was on its way may have been stored.
        await waitFor(isStored(33), "stored again");
        const has = (): Promise<boolean> =>
          store.load(shard).then(
            (found) => found?.offset === 33,
            () => false,
          );
        await waitFor(has, "what was stored last");
        // What is told is taken back in the end; nobody wants to see a stack.
        expect([log.lines[0]?.level, log.lines.at(-1)?.level]).toEqual(["warn", "info"]);
        const errors = log.lines.flatMap(({ level, fields }) =>
          level === "warn" ? [(fields as { error: unknown }).error] : [],
        );
        expect(errors.filter((error) => typeof error !== "string")).toEqual([]);
      }, server.open),
    TEST_MS_MAX,
  );
}
