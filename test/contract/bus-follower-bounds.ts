/** A follower at its limits: held too much, unanswered, unknown; and its interest. */
import { expect } from "bun:test";
import { LOST, NOW } from "../../src/bus/faults.ts";
import { Recorder, topicOf } from "./bus-scripted.ts";
import { DEPTH, type OnStage, TRADES } from "./bus-stage.ts";

export function followerBounds(onStage: OnStage): void {
  onStage(
    "a chain that holds too much drops it, says so, and heals",
    async (stage) => {
      const { owner } = stage;
      owner.publish(TRADES);
      const trades = await stage.follow(TRADES);
      stage.fate = (d) => (d.what === "reply" ? [300] : d.seq === 1001 ? LOST : NOW);
      for (let i = 0; i < 30; i++) owner.publish(TRADES);
      await stage.settle();
      expect(trades.take()).toEqual(["state first e1 1000", "stale sequence"]);
      expect(stage.follower.status().held).toBeLessThanOrEqual(8);
      expect(stage.counters().overflows).toBeGreaterThan(0);
      await stage.run(2000);
      expect(trades.calls[0]).toBe("fresh");
      expect(trades.differences(owner)).toEqual([]);
      expect(stage.follower.status().held).toBe(0);
    },
    { heldMax: 8 },
  );

  onStage(
    "all chains together hold no more than their bound",
    async (stage) => {
      const { owner } = stage;
      const channels = ["a@trade", "b@trade", "c@depth"];
      for (const channel of channels) owner.publish(channel);
      const recorders = await Promise.all(channels.map((channel) => stage.follow(channel)));
      for (const channel of channels) owner.make(channel);
      stage.fate = (d) => (d.what === "reply" ? [300] : NOW);
      for (let i = 0; i < 60; i++) owner.publish(channels[i % 3]!);
      await stage.settle();
      expect(stage.follower.status().held).toBeLessThanOrEqual(10);
      await stage.run(2000);
      for (const recorder of recorders) expect(recorder.differences(owner)).toEqual([]);
    },
    { heldTotalMax: 10 },
  );

  onStage("a channel that no owner knows is unavailable, once, until one does", async (stage) => {
    const { owner } = stage;
    owner.publish(DEPTH);
    const trades = await stage.follow(TRADES);
    await stage.runWithHeads(3000);
    expect(trades.take()).toEqual(["unavailable 1203"]);
    owner.publish(TRADES);
    await stage.settle();
    expect(trades.take()).toEqual(["state first e1 1001"]);
    owner.publish(TRADES);
    await stage.settle();
    expect(trades.differences(owner)).toEqual([]);
  });

  onStage("a channel without data in a new epoch: stale if that lasts, else nothing but the epoch", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const trades = await stage.follow(TRADES);
    await stage.runWithHeads(500);
    owner.newEpoch("e2", 5000);
    owner.head();
    await stage.settle();
    owner.publish(TRADES);
    await stage.settle();
    expect(trades.take()).toEqual(["state first e1 1000", "state epoch e2 null", "5000"]);
    owner.newEpoch("e3", 6000);
    await stage.runWithHeads(3000);
    expect(trades.take()).toEqual(["stale sequence", "unavailable 1501"]);
    owner.publish(TRADES);
    owner.publish(TRADES);
    await stage.settle();
    expect(trades.take()).toEqual(["state epoch e3 null", "6000", "6001"]);
    expect(trades.differences(owner)).toEqual([]);
  });

  onStage(
    "a known channel without data starts at null and goes on with its first publication",
    async (stage) => {
      const trades = await stage.follow(TRADES);
      stage.owner.publish(TRADES);
      stage.owner.publish(TRADES);
      await stage.settle();
      expect(trades.calls).toEqual(["state first e1 null", "1000", "1001"]);
      expect(trades.differences(stage.owner)).toEqual([]);
    },
    {},
    { known: [TRADES] },
  );

  onStage(
    "an owner that does not answer: asked again with growing pauses, told, healed when it does",
    async (stage) => {
      const { owner } = stage;
      owner.publish(TRADES);
      const trades = await stage.follow(TRADES);
      stage.fate = (d) => (d.what === "request" || d.seq === 1001 ? LOST : NOW);
      owner.publish(TRADES);
      owner.publish(TRADES);
      await stage.run(900);
      expect(trades.take()).toEqual(["state first e1 1000"]);
      await stage.runWithHeads(10_000);
      expect(trades.take()).toEqual(["stale sequence", "unavailable 1501"]);
      const { requests } = stage.counters();
      expect(requests).toBeLessThan(12);
      stage.fate = () => NOW;
      await stage.run(100);
      expect(trades.take()).toEqual([]);
      owner.head(true);
      await stage.settle();
      expect(trades.take()).toEqual(["fresh", "1001", "1002"]);
      expect(trades.differences(owner)).toEqual([]);
      // The next time is counted from the start again.
      stage.fate = (d) => (d.what === "request" ? LOST : NOW);
      owner.make(TRADES);
      owner.head();
      await stage.run(1900);
      expect(trades.take()).toEqual(["stale sequence"]);
      await stage.runWithHeads(2000);
      expect(trades.take()).toEqual(["unavailable 1501"]);
    },
  );

  onStage("an answer that comes too late is ignored", async (stage) => {
    const { owner } = stage;
    owner.publish(DEPTH);
    stage.fate = (d) => (d.what === "reply" && d.seq === 1000 ? [1500] : NOW);
    const depth = await stage.follow(DEPTH);
    owner.publish(DEPTH);
    await stage.run(1200);
    expect(depth.calls).toEqual(["state first e1 1001"]);
    await stage.run(1000);
    expect(depth.calls).toEqual(["state first e1 1001"]);
    expect(depth.breaches).toEqual([]);
  });

  onStage("interest lingers after the last unfollow and is taken up again", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const topic = topicOf(TRADES);
    const recorder = new Recorder(TRADES);
    const first = stage.follower.follow(TRADES, recorder);
    const second = stage.follower.follow(TRADES, new Recorder(TRADES));
    await stage.settle();
    first.close();
    await stage.run(61_000);
    expect(stage.follower.status().topics).toBe(1);
    second.close();
    second.close();
    await stage.run(59_000);
    expect(stage.bus.wanted(topic)).toBe(true);
    const again = await stage.follow(TRADES);
    await stage.run(61_000);
    owner.publish(TRADES);
    await stage.settle();
    expect(recorder.calls).toEqual(["state first e1 1000"]);
    expect(again.calls).toContain("state first e1 1000");
    expect(stage.follower.status().topics).toBe(1);
    const third = stage.follower.follow(DEPTH, new Recorder(DEPTH));
    third.close();
    expect(stage.follower.status()).toMatchObject({ topics: 1, chains: 1 });
  });

  onStage("each follow is a chain of its own; unfollowing inside a call is safe", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const early = await stage.follow(TRADES);
    owner.publish(TRADES);
    const leaving = new Recorder(TRADES);
    const subscription = stage.follower.follow(TRADES, {
      state: (reply, cause) => leaving.state(reply, cause),
      publication(p, header) {
        leaving.publication(p, header);
        subscription.close();
      },
      stale: (reason) => leaving.stale(reason),
      fresh: () => leaving.fresh(),
      unavailable: (code, message) => leaving.unavailable(code, message),
    });
    await stage.settle();
    owner.publish(TRADES);
    owner.publish(TRADES);
    await stage.settle();
    expect(early.calls).toEqual(["state first e1 1000", "1001", "1002", "1003"]);
    expect(leaving.calls).toEqual(["state first e1 1001", "1002"]);
  });

  onStage("private chains of one channel are told apart by user", async (stage) => {
    const { owner } = stage;
    owner.publish("balance", "ann");
    owner.publish("balance", "bob");
    const [ann, bob] = [await stage.follow("balance", "ann"), await stage.follow("balance", "bob")];
    owner.publish("balance", "ann");
    owner.publish("balance", "bob");
    owner.make("balance", "bob");
    await stage.settle();
    expect(ann.take()).toEqual(["state first e1 1000", "1002"]);
    expect(bob.take()).toEqual(["state first e1 1001", "1003"]);
    owner.head();
    await stage.settle();
    expect(ann.take()).toEqual([]);
    expect(bob.take()).toEqual(["1004"]);
    expect(stage.follower.shardOf("balance", "bob")?.shard).toBe("shard-1");
  });

  onStage("shard health follows the HEADs", async (stage) => {
    const { owner, follower } = stage;
    owner.publish(TRADES);
    await stage.follow(TRADES);
    expect(follower.shardOf(TRADES)?.headAgeMs).toBeNull();
    expect(follower.shardOf("nobody@trade")).toBeNull();
    owner.source = "connecting";
    owner.head();
    await stage.run(300);
    expect(follower.shards()).toEqual([
      {
        shard: "shard-1",
        token: 1,
        epoch: "e1",
        source: "connecting",
        offset: 0,
        provides: [],
        headAgeMs: 300,
        silent: false,
        chains: 1,
      },
    ]);
  });
}
