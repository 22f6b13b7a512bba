/** Two nodes on a bus in real time: an owner on one with a HEAD every 100 ms, followers on both. */
import type { Bus } from "../../src/bus/bus.ts";
import { createFollower, type Follower, type FollowerOptions } from "../../src/bus/follower.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { waitFor } from "../lib/wait.ts";
import { type OwnerOptions, Recorder, ScriptedOwner, topicOf } from "./bus-scripted.ts";

/** Servers that are killed and started again take long where many tests run at once; a wait costs nothing once it holds. */
export const patiently = (condition: () => boolean, what: string | (() => string)): Promise<void> =>
  waitFor(condition, what, 60_000);
/** Of a test with several such waits. */
export const PATIENT_TEST_MS_MAX = 240_000;

export class Pair {
  readonly owner: ScriptedOwner;
  readonly follower: Follower;
  /** On the owner's own node. */
  readonly near: Follower;
  readonly #heads: Timer;

  constructor(
    owning: Bus,
    following: Bus,
    options: Partial<OwnerOptions> = {},
    follower: Partial<FollowerOptions> = {},
  ) {
    const clock = systemClock();
    this.owner = new ScriptedOwner({ bus: owning, historyMax: 1e9, ...options });
    this.near = createFollower({ bus: owning, clock, topicOf });
    this.follower = createFollower({ bus: following, clock, topicOf, ...follower });
    this.#heads = setInterval(() => this.owner.head(), 100);
  }

  follow(channel: string, follower: Follower = this.follower): Recorder {
    const recorder = new Recorder(channel);
    follower.follow(channel, recorder);
    return recorder;
  }

  /** Until each has exactly what the source has. */
  async same(...recorders: Recorder[]): Promise<void> {
    const differences = (): string[] => recorders.flatMap((recorder) => recorder.differences(this.owner));
    await patiently(
      () => differences().length === 0,
      () => differences().join("; ").slice(0, 2000),
    );
  }

  close(): void {
    clearInterval(this.#heads);
    this.follower.close();
    this.near.close();
  }
}
