/** A follower when owners, epochs and shards change or fall silent. */
import { expect } from "bun:test";
import { NOW } from "../../src/bus/faults.ts";
import { ScriptedOwner, topicOf } from "./bus-scripted.ts";
import { DEPTH, type OnStage, TRADES } from "./bus-stage.ts";

export function followerOwners(onStage: OnStage): void {
  onStage("a lower token is refused: publications, HEADs, answers", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const trades = await stage.follow(TRADES);
    owner.stopServing();
    const next = owner.takenOverBy(await stage.node());
    next.publish(TRADES);
    await stage.settle();
    expect(trades.take()).toEqual(["state first e1 1000", "1001"]);
    // The old owner wakes up: it continues its own chain, names a high last seq, and answers alone.
    owner.publish(TRADES);
    owner.publish(TRADES);
    owner.head();
    await stage.settle();
    expect(trades.take()).toEqual([]);
    expect(stage.counters().refusedTokens).toBe(3);
    next.stopServing();
    owner.serve();
    next.make(TRADES);
    next.head();
    await stage.settle();
    expect(trades.take()).toEqual(["stale sequence"]);
    expect(stage.counters().refusedTokens).toBe(4);
    next.serve();
    owner.stopServing();
    await stage.run(500);
    expect(trades.take()).toEqual(["fresh", "1002"]);
    expect(trades.breaches).toEqual([]);
  });

  onStage("a new owner that still replays does not set a consumer back", async (stage) => {
    const { owner } = stage;
    for (let i = 0; i < 10; i++) owner.publish(DEPTH);
    const behind = owner.takenOverBy(await stage.node());
    behind.stopServing();
    for (let i = 0; i < 5; i++) owner.publish(DEPTH);
    const depth = await stage.follow(DEPTH);
    owner.stopServing();
    await stage.run(2600);
    expect(depth.take()).toEqual(["state first e1 1014", "stale no-head"]);
    // The next owner's checkpoint is five publications old; it replays them with the same numbers.
    behind.serve();
    behind.head(true);
    await stage.settle();
    expect(depth.take()).toEqual(["fresh"]);
    for (let i = 0; i < 7; i++) behind.publish(DEPTH);
    await stage.settle();
    expect(depth.take()).toEqual(["1015", "1016"]);
    expect(stage.counters().duplicates).toBe(5);
    expect(depth.breaches).toEqual([]);
  });

  onStage("a new epoch is told before its first publication, and its items are all there", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    owner.publish(DEPTH);
    const [trades, depth] = [await stage.follow(TRADES), await stage.follow(DEPTH)];
    const straggler = { header: owner.header(), p: owner.make(TRADES) };
    owner.newEpoch("e2", 5000);
    owner.publish(TRADES);
    owner.publish(DEPTH);
    owner.publish(TRADES);
    owner.publish(DEPTH);
    await stage.settle();
    stage.bus.publish(straggler.header, topicOf(TRADES), straggler.p);
    owner.publish(TRADES);
    await stage.settle();
    expect(trades.take()).toEqual(["state first e1 1000", "state epoch e2 null", "5000", "5002", "5004"]);
    expect(depth.take()[1]).toStartWith("state epoch e2 5");
    expect(trades.differences(owner)).toEqual([]);
    expect(depth.differences(owner)).toEqual([]);
    expect(stage.counters().epochs).toBe(2);
    expect(stage.counters().duplicates + stage.counters().oldEpochs).toBeGreaterThan(0);
  });

  onStage(
    "a HEAD tells of a new epoch before anything is published in it",
    async (stage) => {
      const { owner } = stage;
      owner.publish(TRADES);
      owner.publish(DEPTH);
      const [trades, depth] = [await stage.follow(TRADES), await stage.follow(DEPTH)];
      await stage.runWithHeads(500);
      const straggler = { header: owner.header(), p: owner.make(TRADES) };
      const lateHead = owner.makeHead(true);
      owner.newEpoch("e2", 5000);
      owner.head();
      await stage.settle();
      expect(trades.take()).toEqual(["state first e1 1000", "state epoch e2 null"]);
      expect(depth.take()).toEqual(["state first e1 1001", "state epoch e2 null"]);
      stage.bus.publish(straggler.header, topicOf(TRADES), straggler.p);
      stage.bus.head(lateHead);
      await stage.settle();
      owner.publish(TRADES);
      await stage.settle();
      expect(trades.take()).toEqual(["5000"]);
      expect(stage.counters().oldEpochs).toBe(2);
      expect(trades.differences(owner)).toEqual([]);
    },
    {},
    { known: [TRADES, DEPTH] },
  );

  onStage("a straggling HEAD of an old epoch that nobody knew costs a question, no epoch", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const old = owner.makeHead(true);
    owner.newEpoch("e2", 5000);
    owner.publish(TRADES);
    const trades = await stage.follow(TRADES);
    stage.bus.head(old);
    await stage.settle();
    stage.bus.head(old);
    owner.publish(TRADES);
    await stage.settle();
    expect(trades.calls).toEqual(["state first e2 5000", "5001"]);
    expect(stage.counters().requests).toBe(2);
    expect(stage.counters().oldEpochs).toBe(1);
  });

  onStage(
    "no HEAD for 2 s: stale once, nothing more; fresh when HEADs are back, then all that was missed",
    async (stage) => {
      const { owner } = stage;
      owner.publish(TRADES);
      owner.publish(DEPTH);
      const [trades, depth] = [await stage.follow(TRADES), await stage.follow(DEPTH)];
      await stage.runWithHeads(5000);
      expect(trades.take()).toEqual(["state first e1 1000"]);
      depth.take();
      await stage.run(1499);
      expect(trades.calls).toEqual([]);
      await stage.run(600);
      expect(trades.take()).toEqual(["stale no-head"]);
      expect(stage.follower.status().staleChains).toBe(2);
      expect(stage.follower.shards()[0]?.silent).toBe(true);
      owner.publish(TRADES);
      stage.lose(1003);
      owner.publish(TRADES);
      owner.publish(TRADES);
      await stage.run(10_000);
      expect(trades.calls).toEqual([]);
      owner.head(false);
      await stage.settle();
      expect(trades.take()).toEqual(["fresh", "1002", "1003", "1004"]);
      expect(depth.take()).toEqual(["stale no-head", "fresh"]);
      expect(trades.differences(owner)).toEqual([]);
      expect(stage.follower.status().staleChains).toBe(0);
    },
  );

  onStage("HEADs are back: what a HEAD confirms needs no question, anything else is asked for", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const trades = await stage.follow(TRADES);
    await stage.run(2600);
    owner.head(true);
    await stage.settle();
    expect(trades.take()).toEqual(["state first e1 1000", "stale no-head", "fresh"]);
    expect(stage.counters().requests).toBe(1);
    // The last message and the HEAD that named it are lost; the first one to arrive does not speak of the channel.
    await stage.run(2600);
    owner.make(TRADES);
    owner.makeHead(false);
    stage.bus.head(owner.makeHead(false));
    await stage.settle();
    expect(trades.take()).toEqual(["stale no-head", "fresh", "1001"]);
    expect(stage.counters().requests).toBe(2);
    expect(trades.differences(owner)).toEqual([]);
  });

  onStage("an answer that arrives while the shard is silent waits for its HEADs", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const trades = await stage.follow(TRADES);
    await stage.run(1500);
    stage.fate = (d) => (d.what === "reply" ? [900] : NOW);
    owner.make(TRADES);
    owner.publish(TRADES);
    await stage.run(2000);
    expect(trades.take()).toEqual(["state first e1 1000", "stale no-head"]);
    stage.fate = () => NOW;
    owner.head(true);
    await stage.settle();
    expect(trades.take()).toEqual(["fresh", "1001", "1002"]);
    expect(trades.breaches).toEqual([]);
  });

  onStage("a shard that is silent when its channel is joined is stale at once", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    owner.publish(DEPTH);
    await stage.follow(DEPTH);
    await stage.run(2600);
    const trades = await stage.follow(TRADES);
    owner.publish(TRADES);
    await stage.settle();
    expect(trades.take()).toEqual(["state first e1 1000", "stale no-head"]);
    owner.head(true);
    await stage.settle();
    expect(trades.take()).toEqual(["fresh", "1002"]);
    expect(trades.breaches).toEqual([]);
  });

  onStage(
    "another shard's publications of a channel are refused; a channel that moved is found again",
    async (stage) => {
      const { owner } = stage;
      owner.publish(TRADES);
      const trades = await stage.follow(TRADES);
      const other = new ScriptedOwner({ bus: await stage.node(), shard: "shard-2", epoch: "x1", base: 9000 });
      other.stopServing();
      const p = other.publish(TRADES);
      // Even one that would fit.
      stage.bus.publish({ ...owner.header(), shard: "shard-2" }, topicOf(TRADES), { ...p, seq: 1001, prev: 1000 });
      await stage.runWithHeads(500);
      owner.publish(TRADES);
      await stage.settle();
      expect(trades.take()).toEqual(["state first e1 1000", "1001"]);
      expect(stage.counters().foreign).toBe(2);
      owner.stopServing();
      other.serve();
      other.publish(TRADES);
      await stage.runWithHeads(1000);
      expect(trades.take()).toEqual(["state epoch x1 null", "9000", "9001"]);
      expect(stage.follower.shardOf(TRADES)?.shard).toBe("shard-2");
      expect(trades.breaches).toEqual([]);
    },
  );

  onStage("a channel whose shard fell silent is found in the shard it moved to", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const trades = await stage.follow(TRADES);
    owner.stopServing();
    await stage.run(2600);
    const other = new ScriptedOwner({ bus: await stage.node(), shard: "shard-2", epoch: "x1", base: 9000 });
    other.publish(TRADES);
    other.publish(TRADES);
    for (let i = 0; i < 4; i++) {
      other.head();
      await stage.run(500);
    }
    expect(trades.take()).toEqual(["state first e1 1000", "stale no-head", "state epoch x1 null", "9000", "9001"]);
    other.publish(TRADES);
    await stage.settle();
    expect(trades.differences(other)).toEqual([]);
  });
}
