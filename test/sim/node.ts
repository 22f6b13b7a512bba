/**
 * A node of a world, as far as it serves clients: follower, engine, ring and the crew of its workers.
 */
import type { Bus } from "../../src/bus/bus.ts";
import { createFollower, type Follower } from "../../src/bus/follower.ts";
import { FreshHeads } from "../../src/bus/fresh-heads.ts";
import type { InstrumentRegistry } from "../../src/channel/registry.ts";
import type { Pace } from "../../src/channel/topic-settings.ts";
import type { DepthBody } from "../../src/engine/depth.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { binanceEncoder } from "../../src/protocol/binance/mod.ts";
import { nativeEncoder } from "../../src/protocol/native/mod.ts";
import { RestDepth } from "../../src/rest-depth.ts";
import { createRing, createRingWriter, type RingReaders, type RingWriter } from "../../src/ring/mod.ts";
import { Crew } from "./crew.ts";
import type { NodeClock } from "./node-clock.ts";
import type { Plan } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Trace } from "./trace.ts";

export interface NodeOptions {
  readonly name: string;
  readonly plan: Pick<Plan, "seed" | "workers" | "onSlow" | "ringBytes" | "heldMax" | "lingerMs">;
  /** The world's, for the workers' threads; the main thread's. */
  readonly clock: Clock;
  readonly mainClock: NodeClock;
  readonly random: Random;
  readonly bus: Bus;
  readonly catalog: InstrumentRegistry;
  readonly topicOf: (channel: string) => string;
  readonly trace: Trace;
  /** This node owns the shard too, with this token. */
  readonly isOwn: (shard: string, token: number) => boolean;
  /** A node of the bus speaks for the shard with this token, the highest so far. */
  readonly raised: (shard: string, token: number) => void;
  /** Keeps what goes through the ring. */
  readonly recorded: ((record: string) => void) | null;
  readonly failed: (where: string, error: unknown) => void;
}

export class Node {
  readonly name: string;
  readonly follower: Follower;
  readonly engine: Engine;
  readonly ring: RingWriter & RingReaders;
  readonly crew: Crew;
  /** Until then something on this node was held up on purpose. */
  disturbedUntilMs = 0;
  readonly #clock: NodeClock;
  readonly #depths: RestDepth;

  constructor(options: NodeOptions) {
    const { name, plan, clock, mainClock, random, bus, catalog, topicOf, trace, recorded, failed } = options;
    this.name = name;
    this.#clock = mainClock;
    this.follower = createFollower({
      bus,
      clock: mainClock,
      topicOf,
      random: () => 0.5,
      requestTimeoutMs: 700,
      heldMax: plan.heldMax,
      lingerMs: plan.lingerMs,
      raised: options.raised,
      log: { warn: (fields, message) => trace.say(() => `${name} ${message} ${JSON.stringify(fields)}`) },
    });
    const memory = createRing(plan.ringBytes, plan.workers);
    this.ring = watched(createRingWriter(memory), recorded, () => this.crew.written());
    this.engine = new Engine({
      ring: this.ring,
      clock: mainClock,
      catalog,
      follower: this.follower,
      encoders: { native: nativeEncoder, binance: binanceEncoder },
      // A third of the worlds without bursts, the others with bursts on one rung each.
      paceOf: () => PACES[plan.seed % PACES.length] ?? null,
    });
    this.#depths = new RestDepth({
      engine: this.engine,
      shardOf: (channel) => this.follower.shardOf(channel),
      isOwn: options.isOwn,
      heads: new FreshHeads(bus, mainClock, HEAD_MS_MAX),
      heard: (head) => this.follower.heard(head),
      clock: mainClock,
    });
    this.crew = new Crew({
      clock,
      mainClock,
      random,
      memory,
      ring: this.ring,
      workers: plan.workers,
      onSlow: plan.onSlow,
      handle: (worker, message) => this.engine.handle(worker, message),
      gone: (worker) => this.engine.workerGone(worker),
      failed: (error) => failed("a command", error),
    });
  }

  /** What REST answers. */
  depth(channel: string): Promise<DepthBody | null> {
    return new Promise((resolve, reject) =>
      this.#clock.awake(() => void this.#depths.of(channel, 1000).then(resolve, reject)),
    );
  }

  isStale(channel: string): boolean {
    return this.engine.status().stale.some((one) => one.channel === channel);
  }

  /** The main thread has no turns for `ms`. */
  freeze(ms: number): void {
    this.#clock.freeze(ms);
    this.disturbed(ms);
  }

  disturbed(ms: number): void {
    this.disturbedUntilMs = Math.max(this.disturbedUntilMs, this.#clock.monotonicMs() + ms);
  }

  close(): void {
    this.engine.close();
    this.follower.close();
  }
}

/** An owner's answer that takes longer is of no use to REST. */
const HEAD_MS_MAX = 300;
const PACES: readonly (Pace | null)[] = [null, { perSecond: 20, burst: 5 }, { perSecond: 10, burst: 20 }];

/** The ring; the crew hears of each record, and `recorded` sees it. */
function watched(
  ring: RingWriter & RingReaders,
  recorded: NodeOptions["recorded"],
  written: () => void,
): RingWriter & RingReaders {
  return {
    write: (kind, fields, payload) => {
      ring.write(kind, fields, payload);
      recorded?.(JSON.stringify([kind, fields, payload]));
      written();
    },
    notify: () => ring.notify(),
    lagBytes: () => ring.lagBytes(),
    beats: (worker) => ring.beats(worker),
    removeReader: (worker) => ring.removeReader(worker),
    recordBytesMax: ring.recordBytesMax,
    capacityBytes: ring.capacityBytes,
    get written() {
      return ring.written;
    },
  };
}
