/**
 * The simulation can fail: with one mistake put into the code on purpose, it finds a seed that breaks a rule.
 *
 * Each mistake replaces one method for the time of its test.
 */
import { expect, test } from "bun:test";
import type { ShardHeader } from "../../src/bus/bus.ts";
import { Chain } from "../../src/bus/chain.ts";
import { Shard } from "../../src/bus/shard-table.ts";
import type { Publication } from "../../src/channel/types.ts";
import { BookKeeper } from "../../src/ingest/book-keeper.ts";
import { Numbering } from "../../src/ingest/numbering.ts";
import { planOf } from "./draw.ts";
import { run } from "./world.ts";

const SEEDS_MAX = 150;

interface Mistake {
  readonly name: string;
  /** Makes it; returns what undoes it. */
  readonly make: () => () => void;
}

/** Puts another method in the place of one, whatever its visibility. */
function replace<T extends object>(prototype: T, name: string, by: (original: Method) => Method): () => void {
  const methods = prototype as Record<string, Method>;
  const original = methods[name];
  if (original === undefined) throw new Error(`there is no ${name} any more`);
  methods[name] = by(original);
  return () => {
    methods[name] = original;
  };
}

type Method = (this: never, ...args: never[]) => unknown;
interface OpenChain {
  open: boolean;
  last: number | null;
  readonly consumer: Chain["consumer"];
}

const MISTAKES: readonly Mistake[] = [
  {
    name: "gaps are not healed",
    make: () =>
      replace(
        Chain.prototype,
        "heal",
        () =>
          function (this: OpenChain) {
            this.open = true;
          } as Method,
      ),
  },
  {
    name: "HEADs are not looked at, so a lost last message stays lost",
    make: () => replace(Chain.prototype, "headSays", () => () => undefined),
  },
  {
    name: "what comes twice is handed on twice",
    make: () =>
      replace(
        Chain.prototype,
        "step",
        (step) =>
          function (this: OpenChain, p: Publication, header: ShardHeader) {
            const isRepeated = this.last !== null && p.seq === this.last;
            if (isRepeated) this.consumer.publication(p, header);
            return (step as (...args: unknown[]) => unknown).call(this, p, header);
          } as unknown as Method,
      ),
  },
  {
    name: "a former owner's token passes",
    make: () =>
      replace(
        Shard.prototype,
        "refusal",
        () =>
          function (this: Shard<unknown>, header: ShardHeader) {
            this.token = header.token;
            return null;
          } as unknown as Method,
      ),
  },
  {
    name: "silent owners are not told of",
    make: () => replace(Chain.prototype, "shardSilent", () => () => undefined),
  },
  {
    name: "a new numbering begins below the one before",
    make: () =>
      replace(
        Numbering.prototype,
        "next",
        (next) =>
          function (this: Numbering, id: string) {
            const epoch = (next as (...args: unknown[]) => unknown).call(this, id, 0) as { id: string; base: number };
            (epoch as { base: number }).base -= 1000;
            return epoch;
          } as unknown as Method,
      ),
  },
  {
    name: "a book's history is not in its checkpoint, nor is that it was stale",
    make: () =>
      replace(
        BookKeeper.prototype,
        "save",
        (save) =>
          function (this: BookKeeper) {
            return { ...((save as () => object).call(this) as object), stale: null };
          } as unknown as Method,
      ),
  },
];

for (const { name, make } of MISTAKES) {
  test(`simulation - finds it when ${name}`, () => {
    const undo = make();
    let found: number | null = null;
    try {
      for (let seed = 0; seed < SEEDS_MAX && found === null; seed++) {
        if (run(planOf(seed)).violations.length > 0) found = seed;
      }
    } finally {
      undo();
    }
    expect(found).not.toBeNull();
  }, 120_000);
}
