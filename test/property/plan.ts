/** Random plans: arbitraries, so that fast-check can make, shrink and print them. */
import fc from "fast-check";
import { RUNGS, type Rung } from "../../src/ring/messages.ts";
import { ALONE, type Kinds, LISTINGS, type Plan, type Step, VENUES } from "../sim/plan.ts";

const seed = fc.nat();
const ms = (max: number) => fc.integer({ min: 1, max });
const step = <const D extends Step["do"], F extends object>(name: D, fields: { [K in keyof F]: fc.Arbitrary<F[K]> }) =>
  fc.record({ do: fc.constant(name), ...fields }) as unknown as fc.Arbitrary<Step>;

/** Mostly one, so that things meet. */
const listing = fc.constantFrom(0, 0, 0, 1, LISTINGS - 1);
const venue = fc.constantFrom(0, 0, VENUES - 1);
const kinds = fc.constantFrom<Kinds[]>("all", "books", "trades");
/** Mostly fast ones: what is batched for long is often too big for these small rings. */
const rungs = fc.constantFrom<(readonly Rung[])[]>([0, 0, 0, 50, 100, 100, 250, 500, ...RUNGS], [0, 100], [0, 0, 500]);
const worker = fc.nat(1);
const client = fc.nat(30);

const feed = (mix: "good" | "wild" | "long", count: number) =>
  step("feed", {
    mix: fc.constant(mix),
    listing,
    count: fc.integer({ min: 1, max: count }),
    gapMs: fc.constantFrom(0, 1, 7, 40, 130),
    seed,
  });

const opens = step("open", { binance: fc.boolean(), listing, seed });
const acts = step("act", { client, seed });

const also = fc.constantFrom("nothing", "nothing", "lost", "epoch", "stale");

/** Clients that read nothing, or too little. */
const SLOW = [
  { weight: 2, arbitrary: step("choke", { client, ms: fc.oneof(ms(1200), ms(8000)), bytes: fc.constant(0) }) },
  { weight: 2, arbitrary: step("choke", { client, ms: ms(15_000), bytes: fc.constantFrom(1, 5, 20, 100, 500) }) },
];
/** One node, one owner that never dies. */
const alone = {
  nodes: fc.constant(ALONE.nodes),
  ingest: fc.constant(ALONE.ingest),
  bothRoles: fc.constant(ALONE.bothRoles),
  venues: fc.constant(ALONE.venues),
  bytes: fc.constant(ALONE.bytes),
  storeMs: fc.constant(ALONE.storeMs),
  lingerMs: fc.constant(ALONE.lingerMs),
  patient: fc.constant(ALONE.patient),
};
const onSlow = fc.constantFrom("wait", "gap", "gap");

/** Somebody is slow while much is published, and keeps up again after a while. */
const slowSpell: fc.Arbitrary<readonly Step[]> = fc
  .record({
    client,
    ms: fc.integer({ min: 800, max: 4000 }),
    bytes: fc.constantFrom(0, 0, 1, 10, 50),
    feeds: fc.array(feed("good", 40), { minLength: 1, maxLength: 3 }),
    after: ms(4000),
  })
  .map(({ client: who, ms: long, bytes, feeds, after }) => [
    { do: "choke", client: who, ms: long, bytes },
    ...feeds,
    { do: "wait", ms: after },
  ]);
/** Single steps, and sometimes a spell of several. */
const spells = (steps: fc.MaybeWeightedArbitrary<Step>[], weight: number): fc.Arbitrary<readonly Step[]> =>
  fc.oneof({ weight: 40, arbitrary: fc.oneof(...steps).map((one) => [one]) }, { weight, arbitrary: slowSpell });

/** Clients come, go and move; the source, the bus and the workers are well. */
const CALM = [
  { weight: 6, arbitrary: feed("good", 12) },
  { weight: 4, arbitrary: opens },
  { weight: 8, arbitrary: acts },
  { weight: 3, arbitrary: step("wait", { ms: ms(1500) }) },
];

const WILD = [
  ...CALM,
  { weight: 4, arbitrary: feed("wild", 12) },
  { weight: 2, arbitrary: feed("long", 30) },
  {
    weight: 3,
    arbitrary: step("lap", { worker, listing, times: fc.constantFrom(0.5, 0.9, 1.2, 2.2), ms: ms(60), also, seed }),
  },
  { weight: 2, arbitrary: step("stale", { listing, ms: fc.oneof(ms(900), ms(9000)) }) },
  { weight: 1, arbitrary: step("lost", { venue, ms: ms(1500), seed }) },
  { weight: 1, arbitrary: step("epoch", { venue, ms: ms(800), seed }) },
  { weight: 1, arbitrary: step("restart", { worker, ms: ms(400) }) },
  { weight: 3, arbitrary: step("pause", { worker, ms: ms(900) }) },
  ...SLOW,
  { weight: 1, arbitrary: step("deaf", { ms: fc.oneof(ms(600), ms(4000)) }) },
  { weight: 1, arbitrary: step("wait", { ms: fc.oneof(ms(7000), fc.constant(70_000)) }) },
];

/** The bus is bad, everything else is well. */
const ROUGH = [...CALM, { weight: 1, arbitrary: step("deaf", { ms: ms(1500) }) }];

export const calmPlan: fc.Arbitrary<Plan> = fc.record({
  seed,
  kinds,
  rungs,
  steps: fc.array(fc.oneof(...CALM), { minLength: 5, maxLength: 40 }),
  drop: fc.constant(0),
  duplicate: fc.constant(0),
  delay: fc.constant(0),
  workers: fc.constantFrom(1, 2),
  onSlow: fc.constant("wait"),
  ringBytes: fc.constant(1024 * 1024),
  heldMax: fc.constant(10_000),
  ownIds: fc.boolean(),
  warm: fc.constant(true),
  quietEnd: fc.constant(true),
  endsStale: fc.constant(false),
  ...alone,
});

export const roughPlan: fc.Arbitrary<Plan> = fc
  .record({
    calm: calmPlan,
    steps: fc.array(fc.oneof(...ROUGH), { minLength: 10, maxLength: 40 }),
    drop: fc.constantFrom(0.05, 0.3),
    duplicate: fc.constantFrom(0, 0.3),
    delay: fc.constantFrom(0, 0.5),
    heldMax: fc.constantFrom(5, 10_000),
  })
  .map(({ calm, ...rough }) => ({ ...calm, ...rough }));

/** Everything is well but for some clients, which are slow. */
export const slowPlan: fc.Arbitrary<Plan> = fc
  .record({
    calm: calmPlan,
    steps: fc
      .tuple(
        fc.array(opens, { minLength: 3, maxLength: 6 }),
        fc.array(spells([...CALM, ...SLOW], 20), { minLength: 5, maxLength: 25 }),
      )
      .map(([first, then]) => [...first, ...then.flat()]),
    onSlow,
  })
  .map(({ calm, ...slow }) => ({ ...calm, ...slow }));

export const wildPlan: fc.Arbitrary<Plan> = fc.record({
  seed,
  kinds,
  rungs,
  steps: fc
    .tuple(fc.array(opens, { minLength: 2, maxLength: 6 }), fc.array(spells(WILD, 4), { minLength: 10, maxLength: 60 }))
    .map(([first, then]) => [...first, ...then.flat()]),
  drop: fc.constantFrom(0, 0, 0.02, 0.2),
  duplicate: fc.constantFrom(0, 0.1),
  delay: fc.constantFrom(0, 0, 0.1, 0.4),
  workers: fc.constantFrom(1, 2),
  onSlow,
  ringBytes: fc.constantFrom(64 * 1024, 256 * 1024),
  heldMax: fc.constantFrom(5, 10_000),
  ownIds: fc.boolean(),
  warm: fc.boolean(),
  quietEnd: fc.boolean(),
  endsStale: fc.constantFrom(false, false, true),
  ...alone,
});
