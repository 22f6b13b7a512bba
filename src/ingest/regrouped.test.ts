/** Channels that move between the inputs of a topic: two shards of one node, followed from another. */
import { expect, test } from "bun:test";
import { createFollower } from "../bus/follower.ts";
import { createMemoryHub } from "../bus/memory.ts";
import type { Publication } from "../channel/types.ts";
import { createFakeClock } from "../lib/fake-clock.ts";
import { MemoryCheckpoints } from "./checkpoint.ts";
import { ChannelOwners } from "./owners.ts";
import { Shard } from "./shard.ts";
import type { RecordSink, Source, SourceRecord, SourceStatus } from "./source.ts";
import { json, RecordingLog, type Step, testRegistry, updatesMapper } from "./testing/rig.ts";

/** A source that gives what it is told to. */
class HandSource implements Source {
  readonly name = "hand";
  readonly replayable = true;
  readonly contestedChannels: string[] = [];
  #sink: RecordSink | null = null;

  run(sink: RecordSink, _from: number | null, signal: AbortSignal): Promise<void> {
    this.#sink = sink;
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  contested(channel: string): void {
    this.contestedChannels.push(channel);
  }

  give(offset: number, step: Step): void {
    this.#sink?.accept({ ...step, offset, receivedUs: 1_767_225_600_000_000 + offset } as SourceRecord);
  }

  status(): SourceStatus {
    return { state: { name: "connected" }, lagMs: null, records: 0, reconnects: 0 };
  }
}

test("regrouped - a channel moves to another shard: its seq rises, nothing is mixed, and other nodes follow it there", async () => {
  const clock = createFakeClock();
  const hub = createMemoryHub({ clock, throughBytes: true });
  const [here, there] = [hub.attach("here"), hub.attach("there")];
  const owners = new ChannelOwners();
  const checkpoints = new MemoryCheckpoints();
  let epochs = 0;
  const shardOf = async (id: string) => {
    const source = new HandSource();
    const shard = new Shard({
      ...{ id, source, mapper: updatesMapper(), bus: here, catalog: testRegistry(), owners, checkpoints, clock },
      ...{ topicOf: (channel) => channel, provides: [], log: new RecordingLog(), randomId: () => `e${++epochs}` },
    });
    await shard.start();
    return { source, shard };
  };
  const one = await shardOf("trades/0");
  // Later, and ahead of it in records: its numbers lie above.
  await clock.run(1000);
  const two = await shardOf("trades/1");
  const value = (text: string): Step => ({ type: "data", value: [json(1_767_225_600_000, `"${text}"`)] });
  const said: string[] = [];
  const seqs: number[] = [];
  const take = (p: Pick<Publication, "seq" | "data">): void => {
    seqs.push(p.seq);
    said.push((p.data as { json: string }).json);
  };
  const follower = createFollower({ bus: there, clock, topicOf: (channel) => channel, random: () => 0 });
  follower.follow("c0", {
    state(reply, cause) {
      said.push(`state ${cause} ${reply.shard}`);
      if (reply.seq !== null) seqs.push(reply.seq);
    },
    publication: take,
    stale: (reason) => said.push(`stale ${reason}`),
    fresh: () => said.push("fresh"),
    unavailable: (code) => said.push(`unavailable ${code}`),
  });
  one.source.give(0, value("a"));
  await clock.run(100);
  one.source.give(1, value("b"));
  // Not moved yet: refused, and the source hears of it.
  two.source.give(7, value("stray"));
  expect(two.source.contestedChannels).toEqual(["c0"]);
  expect(two.shard.status().refused).toEqual({ "other shard": 1 });
  one.source.give(2, { type: "epoch", moved: true });
  two.source.give(8, { type: "epoch", moved: true });
  await clock.run(10);
  two.source.give(8, value("c"));
  two.source.give(9, value("d"));
  await clock.run(1000);
  two.source.give(10, value("e"));
  await clock.run(1000);
  // A straggler in the old input.
  one.source.give(3, value("late"));
  await clock.run(1000);
  expect(one.shard.status()).toMatchObject({ refused: { "other shard": 1 }, chains: 0 });
  expect(one.source.contestedChannels).toEqual(["c0"]);
  expect(said).not.toContain('"stray"');
  expect(said).not.toContain('"late"');
  expect(said.slice(-1)).toEqual(['"e"']);
  expect(said.filter((text) => text.startsWith("state"))).toEqual(["state first trades/0", "state epoch trades/1"]);
  expect(follower.shardOf("c0")?.shard).toBe("trades/1");
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  expect(new Set(seqs).size).toBe(seqs.length);
  // And back again, into an epoch above.
  one.source.give(4, { type: "epoch", moved: true });
  two.source.give(11, { type: "epoch", moved: true });
  await clock.run(10);
  one.source.give(4, value("f"));
  await clock.run(1000);
  one.source.give(5, value("g"));
  await clock.run(100);
  expect(said.slice(-1)).toEqual(['"g"']);
  expect(follower.shardOf("c0")?.shard).toBe("trades/0");
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  follower.close();
  await Promise.all([one.shard.stop(), two.shard.stop()]);
});
