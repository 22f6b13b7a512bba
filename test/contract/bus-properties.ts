/** Random traffic over a random bad network: whatever happens, a consumer ends with what the source has. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { createFaults, LOST, withFaults } from "../../src/bus/faults.ts";
import { createFollower } from "../../src/bus/follower.ts";
import { createFakeClock } from "../../src/lib/fake-clock.ts";
import type { BusFixture } from "./bus.ts";
import { Recorder, ScriptedOwner, topicOf } from "./bus-scripted.ts";

const CHANNELS = ["a@trade", "a@depth", "b@trade", "b@value"] as const;

type Step =
  | { readonly do: "publish"; readonly channel: number; readonly times: number }
  | { readonly do: "head" }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "epoch" }
  | { readonly do: "takeOver" }
  | { readonly do: "zombie"; readonly channel: number }
  | { readonly do: "deaf"; readonly ms: number }
  | { readonly do: "follow"; readonly channel: number };

const channel = fc.nat(CHANNELS.length - 1);
const publish = fc.record({ do: fc.constant("publish" as const), channel, times: fc.integer({ min: 1, max: 8 }) });
const wait = fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 900 }) });
const head = fc.record({ do: fc.constant("head" as const) });
const calmSteps = [
  { weight: 10, arbitrary: publish },
  { weight: 4, arbitrary: head },
  { weight: 5, arbitrary: wait },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("follow" as const), channel }) },
];
const wildSteps = [
  ...calmSteps,
  { weight: 1, arbitrary: fc.record({ do: fc.constant("epoch" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("takeOver" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("zombie" as const), channel }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("deaf" as const), ms: fc.integer({ min: 500, max: 4000 }) }),
  },
];

interface World {
  readonly steps: readonly Step[];
  readonly seed: number;
  readonly drop: number;
  readonly duplicate: number;
  readonly delay: number;
  readonly historyMax: number;
  readonly heldMax: number;
}

const world = (steps: fc.Arbitrary<Step>, historyMax: fc.Arbitrary<number>): fc.Arbitrary<World> =>
  fc.record({
    steps: fc.array(steps, { minLength: 5, maxLength: 60 }),
    seed: fc.nat(),
    drop: fc.constantFrom(0, 0.05, 0.3, 0.6),
    duplicate: fc.constantFrom(0, 0.1, 0.5),
    delay: fc.constantFrom(0, 0.1, 0.5),
    historyMax,
    heldMax: fc.constantFrom(3, 20, 10_000),
  });

interface Outcome {
  readonly differences: string[];
  readonly recorders: readonly Recorder[];
  readonly owner: ScriptedOwner;
}

/** Plays the world out, then gives it a quiet network and twelve seconds of HEADs. */
async function play(fixture: BusFixture, plan: World): Promise<Outcome> {
  const clock = createFakeClock();
  const random = createFaults(plan.seed, { ...plan, delayMaxMs: 400 });
  let deafUntil = 0;
  const bus = withFaults(await fixture.node(), {
    node: "edge",
    clock,
    faults: { fate: (d) => (clock.monotonicMs() < deafUntil ? LOST : random.fate(d)) },
    requestTimeoutMs: 500,
  });
  const follower = createFollower({
    bus,
    clock,
    topicOf,
    random: () => 0.5,
    requestTimeoutMs: 700,
    heldMax: plan.heldMax,
  });
  let owner = new ScriptedOwner({ bus: await fixture.node(), historyMax: plan.historyMax, known: CHANNELS });
  let former: ScriptedOwner | null = null;
  const recorders: [string, Recorder][] = [];
  const follow = (name: string): void => {
    const recorder = new Recorder(name);
    recorders.push([name, recorder]);
    follower.follow(name, recorder);
  };
  for (const name of CHANNELS) follow(name);

  let epochs = 1;
  for (const step of plan.steps) {
    if (step.do === "publish") for (let i = 0; i < step.times; i++) owner.publish(CHANNELS[step.channel]!);
    else if (step.do === "head") owner.head();
    else if (step.do === "wait") await clock.run(step.ms, fixture.settle);
    else if (step.do === "epoch") owner.newEpoch(`e${++epochs}`);
    else if (step.do === "deaf") deafUntil = clock.monotonicMs() + step.ms;
    else if (step.do === "follow") follow(CHANNELS[step.channel]!);
    else if (step.do === "zombie") {
      // Until the node has heard of the new owner nothing tells the two apart; then none of this may get through.
      if (former === null || follower.shards()[0]?.token !== owner.token) continue;
      former.publish(CHANNELS[step.channel]!);
      former.head(true);
    } else if (step.do === "takeOver") {
      former?.stopServing();
      owner.stopServing();
      former = owner;
      owner = owner.takenOverBy(await fixture.node());
      former.truth = new Map();
      owner.head(true);
    }
    await fixture.settle();
  }

  random.calm();
  deafUntil = 0;
  for (let i = 0; i < 24; i++) {
    owner.head();
    await clock.run(500, fixture.settle);
  }
  const differences = recorders.flatMap(([name, recorder], i) =>
    recorder.differences(owner).map((difference) => `${name} (${i}): ${difference}; ${recorder.calls.join(" | ")}`),
  );
  if (follower.status().held > 0) differences.push(`${follower.status().held} still held`);
  follower.close();
  if (clock.pending > 0) differences.push(`${clock.pending} timers left`);
  return { differences, recorders: recorders.map(([, recorder]) => recorder), owner };
}

export function followerProperties(make: () => Promise<BusFixture>, runs: number): void {
  const check = async (plan: World, judge: (outcome: Outcome) => void): Promise<void> => {
    const fixture = await make();
    try {
      const outcome = await play(fixture, plan);
      expect(outcome.differences).toEqual([]);
      judge(outcome);
    } finally {
      await fixture.close();
    }
  };

  test("follower - lost, repeated, overtaking: with enough history every publication arrives exactly once", async () => {
    const plans = world(fc.oneof(...calmSteps), fc.constant(10_000));
    await fc.assert(
      fc.asyncProperty(plans, (plan) =>
        check(plan, ({ recorders }) => {
          // Lossless: one state, the first; everything else came as publications.
          for (const recorder of recorders) {
            if (recorder.channel.endsWith("@trade")) expect(recorder.runs.map((run) => run.cause)).toEqual(["first"]);
          }
        }),
      ),
      { numRuns: runs },
    );
  }, 60_000);

  test("follower - new epochs, take-overs, zombies, deafness, short history: ends with the source's state, or was told", async () => {
    const plans = world(fc.oneof(...wildSteps), fc.constantFrom(2, 10, 10_000));
    await fc.assert(
      fc.asyncProperty(plans, (plan) => check(plan, () => undefined)),
      { numRuns: runs },
    );
  }, 60_000);
}
