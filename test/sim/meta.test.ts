/**
 * The simulation can fail: with one mistake put into the code on purpose, it finds a seed that breaks a rule.
 *
 * Each mistake replaces one method for the time of its test.
 */
import { expect, test } from "bun:test";
import type { ShardHeader } from "../../src/bus/bus.ts";
import { Chain } from "../../src/bus/chain.ts";
import { HeardShard } from "../../src/bus/heard-shard.ts";
import type { Publication } from "../../src/channel/types.ts";
import { EpochGaps } from "../../src/engine/epoch-gaps.ts";
import { Notices } from "../../src/engine/notices.ts";
import { type Checkpoint, MemoryCheckpoints } from "../../src/ingest/checkpoint.ts";
import { type Epoch, Numbering } from "../../src/ingest/numbering.ts";
import { planOf } from "./draw.ts";
import { Node } from "./node.ts";
import { run } from "./world.ts";

const SEEDS_MAX = 600;

type Method = (this: unknown, ...args: unknown[]) => unknown;
/** Puts it in place; returns what undoes that. */
type Mistake = () => () => void;

/** Puts another method in the place of one, whatever its visibility. */
function replace(prototype: object, name: string, by: (original: Method) => Method): () => void {
  const methods = prototype as Record<string, Method>;
  const original = methods[name];
  if (original === undefined) throw new Error(`there is no ${name} any more`);
  methods[name] = by(original);
  return () => {
    methods[name] = original;
  };
}

const nothing = () => () => undefined;

/** What these mistakes need of a chain. */
interface OpenChain {
  open: boolean;
  readonly last: number | null;
  readonly consumer: Chain["consumer"];
}

const MISTAKES: Readonly<Record<string, Mistake>> = {
  "gaps are not healed": () =>
    replace(
      Chain.prototype,
      "heal",
      () =>
        function () {
          (this as OpenChain).open = true;
        },
    ),
  "HEADs are not looked at, so a lost last message stays lost": () => replace(Chain.prototype, "headSays", nothing),
  "what comes twice is handed on twice": () =>
    replace(
      Chain.prototype,
      "step",
      (step) =>
        function (p, header) {
          const { last, consumer } = this as OpenChain;
          const publication = p as Publication;
          if (publication.seq === last) consumer.publication(publication, header as ShardHeader);
          return step.call(this, p, header);
        },
    ),
  "former owners are believed": () =>
    replace(
      HeardShard.prototype,
      "refusal",
      () =>
        function (header) {
          (this as HeardShard<unknown>).token = (header as ShardHeader).token;
          return null;
        },
    ),
  "nobody is told that an owner is silent": () => replace(Chain.prototype, "shardSilent", nothing),
  "who has no word for stale is not closed for it": () => replace(Notices.prototype, "closeStale", nothing),
  "a new epoch is not announced": () => replace(EpochGaps.prototype, "tell", nothing),
  "a new numbering begins below the one before": () =>
    replace(
      Numbering.prototype,
      "next",
      (next) =>
        function (id) {
          const epoch = next.call(this, id) as { -readonly [K in keyof Epoch]: Epoch[K] };
          epoch.base -= 1000;
          return epoch;
        },
    ),
  "who takes over begins a record too late": () =>
    replace(
      MemoryCheckpoints.prototype,
      "load",
      (load) =>
        async function (shard) {
          const saved = (await load.call(this, shard)) as Checkpoint | null;
          return saved?.offset == null ? saved : { ...saved, offset: saved.offset + 1 };
        },
    ),
  "REST does not ask the owner where it stands": () =>
    replace(
      Node.prototype,
      "depth",
      () =>
        async function (channel) {
          const reply = await (this as Node).engine.depth(channel as string, 1000);
          return reply.is === "depth" ? reply.body : null;
        },
    ),
};

for (const [name, make] of Object.entries(MISTAKES)) {
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
    if (process.env.TIDEGATE_SIM_VERBOSE) console.log(`${name}: seed ${found}`);
  }, 120_000);
}
