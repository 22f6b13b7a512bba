/** A follower over a bus that loses, repeats and mixes up: what its consumer sees. */
import { expect, test } from "bun:test";
import type { Bus } from "../../src/bus/bus.ts";
import { type Delivery, LOST, NOW, withFaults } from "../../src/bus/faults.ts";
import { createFollower, type Follower, type FollowerOptions } from "../../src/bus/follower.ts";
import { createFakeClock, type FakeClock } from "../../src/lib/fake-clock.ts";
import type { BusFixture } from "./bus.ts";
import { type OwnerOptions, Recorder, ScriptedOwner, topicOf } from "./bus-scripted.ts";

const TRADES = "btcusdt@trade";
const DEPTH = "btcusdt@depth";

/** One owner, one following node behind a bad network, a clock in our hands. */
export class Stage {
  readonly clock: FakeClock = createFakeClock();
  /** What happens to the next deliveries; everything passes by default. */
  fate: (delivery: Delivery) => readonly number[] = () => NOW;
  owner!: ScriptedOwner;
  follower!: Follower;
  bus!: Bus;
  private readonly fixture: BusFixture;

  constructor(fixture: BusFixture) {
    this.fixture = fixture;
  }

  static async open(
    fixture: BusFixture,
    options: Partial<FollowerOptions> = {},
    owner: Partial<OwnerOptions> = {},
  ): Promise<Stage> {
    const stage = new Stage(fixture);
    stage.owner = new ScriptedOwner({ bus: await fixture.node(), ...owner });
    stage.bus = withFaults(await fixture.node(), {
      node: "edge",
      clock: stage.clock,
      faults: { fate: (delivery) => stage.fate(delivery) },
      requestTimeoutMs: 1000,
    });
    stage.follower = createFollower({ bus: stage.bus, clock: stage.clock, topicOf, random: () => 0.5, ...options });
    return stage;
  }

  async follow(channel: string, user = ""): Promise<Recorder> {
    const recorder = new Recorder(channel, user);
    this.follower.follow(channel, recorder, user);
    await this.settle();
    return recorder;
  }

  settle(): Promise<void> {
    return this.fixture.settle();
  }

  run(ms: number): Promise<void> {
    return this.clock.run(ms, () => this.fixture.settle());
  }

  /** `ms` of time in which the owner sends a HEAD every 500 ms. */
  async runWithHeads(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      this.owner.head();
      await this.run(Math.min(500, left));
    }
  }

  node(): Promise<Bus> {
    return this.fixture.node();
  }

  counters() {
    return this.follower.status().counters;
  }

  /** Loses the publications with these seqs. */
  lose(...seqs: number[]): void {
    this.fate = (d) => (d.what === "publication" && seqs.includes(d.seq ?? -1) ? LOST : NOW);
  }
}

export function followerFaults(fixture: () => BusFixture): void {
  /** Opens a stage and closes its follower when the test ends. */
  const onStage = (
    name: string,
    play: (stage: Stage) => Promise<void>,
    options: Partial<FollowerOptions> = {},
    owner: Partial<OwnerOptions> = {},
  ): void => {
    test(`follower - ${name}`, async () => {
      const stage = await Stage.open(fixture(), options, owner);
      try {
        await play(stage);
      } finally {
        stage.follower.close();
      }
    });
  };

  onStage("state first, then the chain; what came meanwhile is held and cut at the state", async (stage) => {
    const { owner } = stage;
    owner.publish(DEPTH);
    owner.publish(DEPTH);
    stage.fate = (d) => (d.what === "reply" ? [20] : NOW);
    const depth = await stage.follow(DEPTH);
    expect(depth.calls).toEqual([]);
    owner.publish(DEPTH);
    await stage.settle();
    // Lost and repeated while joining: the held ones are put in order, what is missing is asked for.
    stage.fate = () => LOST;
    owner.publish(DEPTH);
    await stage.settle();
    stage.fate = (d) => (d.what === "publication" ? [0, 0] : NOW);
    owner.publish(DEPTH);
    await stage.settle();
    expect(stage.follower.status().held).toBe(3);
    await stage.run(20);
    expect(depth.calls).toEqual(["state first e1 1001", "1002", "1003", "1004"]);
    expect(depth.differences(owner)).toEqual([]);
    expect(stage.follower.status().held).toBe(0);
  });

  onStage("what overtook itself while joining is put in order without asking", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    stage.fate = (d) => (d.what === "reply" ? [20] : d.what === "publication" ? [1010 - (d.seq ?? 0)] : NOW);
    const trades = await stage.follow(TRADES);
    for (let i = 0; i < 5; i++) owner.publish(TRADES);
    await stage.run(20);
    expect(trades.calls).toEqual(["state first e1 1000", "1001", "1002", "1003", "1004", "1005"]);
    expect(stage.counters().requests).toBe(1);
  });

  onStage("a lost publication is asked for, and nothing is handed on twice or out of order", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const trades = await stage.follow(TRADES);
    stage.lose(1002, 1003);
    for (let i = 0; i < 6; i++) owner.publish(TRADES);
    await stage.settle();
    expect(trades.take()).toEqual(["state first e1 1000", "1001", "1002", "1003", "1004", "1005", "1006"]);
    expect(trades.differences(owner)).toEqual([]);
    const counters = stage.counters();
    expect(counters.gaps).toBeGreaterThan(0);
    expect(counters.heals).toBe(1);
    expect(counters.states).toBe(1);
  });

  onStage("repeated publications are dropped and counted", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const trades = await stage.follow(TRADES);
    stage.fate = (d) => (d.what === "publication" ? [0, 0, 5] : NOW);
    for (let i = 0; i < 4; i++) owner.publish(TRADES);
    await stage.run(10);
    expect(trades.calls).toEqual(["state first e1 1000", "1001", "1002", "1003", "1004"]);
    expect(stage.counters().duplicates).toBe(8);
    expect(stage.counters().requests).toBe(1);
  });

  onStage("publications that overtake each other come out in order", async (stage) => {
    const { owner } = stage;
    owner.publish(DEPTH);
    owner.publish(TRADES);
    const [depth, trades] = [await stage.follow(DEPTH), await stage.follow(TRADES)];
    const late = new Map([1002, 1003, 1005, 1008].map((seq, i) => [seq, [12 - 3 * i]]));
    stage.fate = (d) => (d.what === "publication" ? (late.get(d.seq ?? -1) ?? NOW) : d.what === "reply" ? [4] : NOW);
    for (let i = 0; i < 12; i++) {
      owner.publish(i % 2 === 0 ? DEPTH : TRADES);
      await stage.run(1);
    }
    await stage.run(50);
    expect(depth.differences(owner)).toEqual([]);
    expect(trades.differences(owner)).toEqual([]);
    expect(stage.counters().states).toBe(2);
  });

  onStage("a lost last message is found within one HEAD, a hundred times", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    owner.publish(DEPTH);
    const [trades, depth] = [await stage.follow(TRADES), await stage.follow(DEPTH)];
    for (let i = 0; i < 100; i++) {
      const [one, two] = [owner.publish(TRADES), owner.publish(DEPTH)];
      await stage.settle();
      const three = owner.make(TRADES);
      const four = owner.make(DEPTH);
      // The bus lost these two; the owner's next HEAD, at most 500 ms later, is all there is.
      await stage.settle();
      expect([trades.seq, depth.seq]).toEqual([one.seq, two.seq]);
      await stage.run(499);
      owner.head();
      await stage.settle();
      expect([trades.seq, depth.seq]).toEqual([three.seq, four.seq]);
    }
    expect(trades.differences(owner)).toEqual([]);
    expect(depth.differences(owner)).toEqual([]);
    expect(stage.counters().headGaps).toBe(200);
    expect(stage.counters().states).toBe(2);
  });

  onStage("a lost last message whose HEAD is lost too is found by the next full HEAD", async (stage) => {
    const { owner } = stage;
    owner.publish(TRADES);
    const trades = await stage.follow(TRADES);
    await stage.runWithHeads(500);
    owner.make(TRADES);
    stage.fate = (d) => (d.what === "head" ? LOST : NOW);
    owner.head();
    await stage.settle();
    stage.fate = () => NOW;
    await stage.runWithHeads(4000);
    expect(trades.seq).toBe(1000);
    await stage.runWithHeads(1000);
    expect(trades.differences(owner)).toEqual([]);
    expect(trades.calls).toEqual(["state first e1 1000", "1001"]);
  });

  onStage(
    "history too short: a book starts over, lossless items go on where history begins",
    async (stage) => {
      const { owner } = stage;
      owner.publish(DEPTH);
      owner.publish(TRADES);
      const [depth, trades] = [await stage.follow(DEPTH), await stage.follow(TRADES)];
      for (let i = 0; i < 20; i++) owner.make(i % 2 === 0 ? DEPTH : TRADES);
      owner.head();
      await stage.settle();
      expect(depth.take()).toEqual(["state first e1 1000", "state heal e1 1020"]);
      expect(trades.take()).toEqual(["state first e1 1001", "state heal e1 1013", "1015", "1017", "1019", "1021"]);
      expect(depth.differences(owner)).toEqual([]);
      expect(trades.differences(owner)).toEqual([]);
    },
    {},
    { historyMax: 4 },
  );

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
    await stage.runWithHeads(500);
    expect(trades.take()).toEqual(["state first e1 1001"]);
    owner.publish(TRADES);
    await stage.settle();
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
