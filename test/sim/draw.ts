/**
 * The plan of a seed: what kind of world it is and what happens in it, drawn by a generator that the seed repeats.
 *
 * Short and many rather than long and few: each has a theme, in which a few kinds of faults meet each other often.
 */
import type { Rung } from "../../src/ring/messages.ts";
import { LISTINGS, type Plan, type Step, VENUES } from "./plan.ts";
import { createRandom, type Random } from "./random.ts";

/** Which faults a world is about; in the last all of them. */
const THEMES = ["bus", "bus", "owners", "owners", "owners", "edge", "everything", "everything"] as const;
type Theme = (typeof THEMES)[number];

const RUNG_SETS: readonly (readonly Rung[])[] = [
  [0, 0, 0, 50, 100, 100, 250, 500, 1000],
  [0, 100],
  [0, 0, 500],
  [0, 100, 3000],
];

type Draw = (random: Random) => Step;
type Weighted = readonly (readonly [weight: number, draw: Draw])[];

const seedOf = (random: Random): number => random.int(0, 2 ** 31);
const listingOf = (random: Random): number => random.pick([0, 0, 0, 1, LISTINGS - 1]);
const venueOf = (random: Random): number => random.pick([0, 0, VENUES - 1]);

const feed = (mix: "good" | "wild" | "long", countMax: number): Draw => {
  return (random) => ({
    do: "feed",
    mix,
    listing: listingOf(random),
    count: random.int(1, countMax),
    gapMs: random.pick([0, 1, 7, 40, 130]),
    seed: seedOf(random),
  });
};
const open: Draw = (random) => ({
  do: "open",
  binance: random.chance(0.45),
  listing: listingOf(random),
  seed: seedOf(random),
});
const act: Draw = (random) => ({ do: "act", client: random.int(0, 30), seed: seedOf(random) });
const wait: Draw = (random) => ({ do: "wait", ms: random.chance(0.15) ? random.int(1, 6000) : random.int(1, 900) });
const deaf: Draw = (random) => ({
  do: "deaf",
  node: random.int(0, 1),
  ms: random.chance(0.5) ? random.int(1, 600) : random.int(1, 4000),
});
const last: Draw = (random) => ({
  do: "last",
  listing: listingOf(random),
  nodes: random.pick([[0], [1], [0, 1]]),
  ms: random.int(1, 1500),
});
const freeze: Draw = (random) => ({ do: "freeze", node: random.int(0, 3), ms: random.int(300, 3500) });
const own: Draw = (random) => ({
  do: "own",
  venue: venueOf(random),
  how: random.pick(["stop", "crash", "crash", "takeOver", "takeOver", "cut"]),
  ingest: random.int(0, 1),
  lose: random.chance(0.2),
  ms: random.chance(0.7) ? random.int(1, 400) : random.int(1, 4000),
});

/** Two owners talk at once for a while, and now and then only the old one is heard. */
const duel = (random: Random): readonly Step[] => {
  const venue = venueOf(random);
  const listing = venue === 0 ? random.int(0, 1) : LISTINGS - 1;
  const feeds = (): Step => ({ ...feed("good", 9)(random), listing }) as Step;
  return [
    { do: "own", venue, how: "takeOver", ingest: random.int(0, 1), lose: false, ms: random.int(200, 4000) },
    feeds(),
    { do: "own", venue, how: "cut", ingest: 0, lose: false, ms: random.int(50, 1500) },
    feeds(),
    { do: "wait", ms: random.int(1, 1500) },
    feeds(),
  ];
};

/** A client reads too little while much comes, and keeps up again. */
const slowSpell = (random: Random): readonly Step[] => {
  const choke: Step = {
    do: "choke",
    client: random.int(0, 30),
    ms: random.int(800, 3000),
    bytes: random.pick([0, 0, 1, 10, 50]),
  };
  return [choke, feed("good", 40)(random), feed("good", 40)(random), { do: "wait", ms: random.int(1, 4000) }];
};

const CALM: Weighted = [
  [7, feed("good", 9)],
  [3, open],
  [7, act],
  [3, wait],
];
const BUS: Weighted = [
  [2, deaf],
  [4, last],
  [1, freeze],
];
const OWNERS: Weighted = [
  [6, own],
  [1, freeze],
  [1, (random) => ({ do: "store", ms: random.int(100, 2500) })],
  [2, (random) => ({ do: "lost", venue: venueOf(random), ms: random.int(1, 1500), seed: seedOf(random) })],
  [1, (random) => ({ do: "epoch", venue: venueOf(random), ms: random.int(1, 800), seed: seedOf(random) })],
  [1, (random) => ({ do: "retain", venue: venueOf(random), keep: random.int(0, 6) })],
  [1, last],
];
const SOURCE: Weighted = [
  [4, feed("wild", 9)],
  [1, (random) => ({ do: "stale", listing: listingOf(random), ms: random.int(1, 900) })],
  [1, (random) => ({ do: "stale", listing: listingOf(random), ms: random.int(1, 9000) })],
];
const EDGE: Weighted = [
  [2, feed("long", 15)],
  [1, (random) => ({ do: "restart", node: random.int(0, 1), worker: random.int(0, 1), ms: random.int(1, 400) })],
  [2, (random) => ({ do: "pause", node: random.int(0, 1), worker: random.int(0, 1), ms: random.int(1, 900) })],
  [2, (random) => ({ do: "choke", client: random.int(0, 30), ms: random.int(1, 6000), bytes: 0 })],
  [
    1,
    (random) => ({
      do: "choke",
      client: random.int(0, 30),
      ms: random.int(1, 8000),
      bytes: random.pick([1, 5, 20, 100, 500]),
    }),
  ],
  [
    2,
    (random) => ({
      do: "lap",
      node: random.int(0, 1),
      worker: random.int(0, 1),
      listing: listingOf(random),
      times: random.pick([0.5, 0.9, 1.2, 2.2]),
      ms: random.int(1, 60),
      also: random.pick(["nothing", "nothing", "lost", "epoch", "stale"]),
      seed: seedOf(random),
    }),
  ],
];

const STEPS: Readonly<Record<Theme, Weighted>> = {
  bus: [...CALM, ...BUS],
  owners: [...CALM, ...OWNERS],
  edge: [...CALM, ...SOURCE, ...EDGE],
  everything: [...CALM, ...BUS, ...OWNERS, ...SOURCE, ...EDGE],
};

/** The world of this seed. */
export function planOf(seed: number): Plan {
  // Neighbouring seeds of this generator begin alike.
  const random = createRandom(Math.imul(seed + 1, 0x9e3779b1));
  const theme = random.pick(THEMES);
  const isRough = theme === "bus" || random.chance(0.5);
  const venue = () => ({
    replayable: random.chance(0.5),
    startsAt: random.pick(["earliest", "earliest", "latest"] as const),
    paceMs: random.pick([0, 0, 20]),
  });
  const alone = random.chance(0.15);
  return {
    seed,
    kinds: random.pick(["all", "all", "books", "trades"]),
    rungs: random.pick(RUNG_SETS),
    steps: stepsOf(theme, random),
    drop: isRough ? random.pick([0.02, 0.1, 0.3]) : 0,
    duplicate: isRough ? random.pick([0, 0.1, 0.3]) : 0,
    delay: isRough ? random.pick([0, 0.1, 0.5]) : 0,
    workers: random.pick([1, 1, 2]),
    onSlow: random.pick(["wait", "gap"]),
    ringBytes: random.pick([64 * 1024, 256 * 1024]),
    heldMax: random.pick([5, 10_000, 10_000]),
    ownIds: random.chance(0.5),
    warm: random.chance(0.8),
    quietEnd: random.chance(0.5),
    endsStale: random.chance(0.15),
    nodes: alone ? 1 : 2,
    ingest: theme === "owners" || theme === "everything" ? 2 : 1,
    bothRoles: random.chance(0.4),
    venues: Array.from({ length: VENUES }, venue),
    bytes: random.chance(0.25),
    storeMs: random.pick([0, 0, 5, 200]),
    lingerMs: 3000,
    patient: random.chance(0.1),
  };
}

function stepsOf(theme: Theme, random: Random): Step[] {
  const steps: Step[] = [];
  for (let left = random.int(2, 5); left > 0; left--) steps.push(open(random));
  const drawn = STEPS[theme];
  const total = drawn.reduce((sum, [weight]) => sum + weight, 0);
  for (let left = random.int(6, 22); left > 0; left--) {
    let at = random.next() * total;
    const chosen = drawn.find(([weight]) => {
      at -= weight;
      return at < 0;
    });
    if (theme !== "bus" && theme !== "edge" && random.chance(0.04)) steps.push(...duel(random));
    else if (theme !== "bus" && theme !== "owners" && random.chance(0.04)) steps.push(...slowSpell(random));
    else steps.push((chosen ?? drawn[0]!)[1](random));
  }
  return steps;
}
