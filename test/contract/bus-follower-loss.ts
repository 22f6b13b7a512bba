/** A follower over a bus that loses, repeats and mixes up: what its consumer sees. */
import { expect } from "bun:test";
import { LOST, NOW } from "../../src/bus/faults.ts";
import { DEPTH, type OnStage, TRADES } from "./bus-stage.ts";

export function followerLoss(onStage: OnStage): void {
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

  onStage(
    "a lost last publication is asked for as soon as an owner says, to whoever asks, where it stands",
    async (stage) => {
      const { owner } = stage;
      owner.publish(DEPTH);
      owner.publish(TRADES);
      const [depth, trades] = [await stage.follow(DEPTH), await stage.follow(TRADES)];
      stage.lose(1002, 1003);
      owner.publish(DEPTH);
      owner.publish(TRADES);
      await stage.settle();
      const word = owner.makeHead(true);
      stage.follower.heard({ ...word, last: word.last.filter(([channel]) => channel === DEPTH) });
      await stage.settle();
      expect(depth.calls).toEqual(["state first e1 1000", "1002"]);
      expect(depth.differences(owner)).toEqual([]);
      // It spoke of this channel only.
      expect(trades.calls).toEqual(["state first e1 1001"]);
      stage.follower.heard({ ...word, last: word.last.filter(([channel]) => channel === DEPTH) });
      stage.follower.heard({ ...word, token: 0, last: [[DEPTH, "", 2000]] });
      await stage.settle();
      expect(depth.calls).toHaveLength(2);
      expect(stage.counters()).toMatchObject({ headGaps: 1, heals: 1, refusedTokens: 1 });
    },
  );

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
}
