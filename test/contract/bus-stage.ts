/** The stage of the follower tests: one owner, one following node behind a bad network, a clock in our hands. */
import { test } from "bun:test";
import type { Bus } from "../../src/bus/bus.ts";
import { type Delivery, LOST, NOW, withFaults } from "../../src/bus/faults.ts";
import { createFollower, type Follower, type FollowerOptions } from "../../src/bus/follower.ts";
import { createFakeClock, type FakeClock } from "../../src/lib/fake-clock.ts";
import type { BusFixture } from "./bus.ts";
import { type OwnerOptions, Recorder, ScriptedOwner, topicOf } from "./bus-scripted.ts";

export const TRADES = "btcusdt@trade";
export const DEPTH = "btcusdt@depth";

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

  /** What was published before has gone its way: it does not reach who follows now. */
  async follow(channel: string, user = ""): Promise<Recorder> {
    await this.settle();
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

export type OnStage = (
  name: string,
  play: (stage: Stage) => Promise<void>,
  options?: Partial<FollowerOptions>,
  owner?: Partial<OwnerOptions>,
) => void;

/** Registers tests that open a stage and close its follower when they end. */
export const onStageOf =
  (fixture: () => BusFixture): OnStage =>
  (name, play, options = {}, owner = {}) => {
    test(`follower - ${name}`, async () => {
      const stage = await Stage.open(fixture(), options, owner);
      try {
        await play(stage);
      } finally {
        stage.follower.close();
      }
    });
  };
