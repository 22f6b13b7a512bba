/**
 * A world: the whole path in one process, on one clock that moves only when it is told to.
 *
 *     market (venues) -> Shard -> memory bus with faults -> follower -> Engine -> ring -> crew (workers) -> crowd (clients)
 *
 * Everything but the venues, Bun's sockets, the clock and the clients is what a node runs. After the plan's steps the
 * faults end, the world waits until everything that repairs itself has had its time, and then every client is judged
 * against its venue. Finally all clients leave: nothing of them may be left anywhere.
 */
import type { Bus, Head, StateReply } from "../../src/bus/bus.ts";
import { createFaults, LOST, NOW, type SeededFaults } from "../../src/bus/faults.ts";
import { createFollower, type Follower } from "../../src/bus/follower.ts";
import { createMemoryHub } from "../../src/bus/memory.ts";
import { InstrumentRegistry } from "../../src/channel/registry.ts";
import type { Candle, Publication } from "../../src/channel/types.ts";
import { Engine } from "../../src/engine/engine.ts";
import { MemoryCheckpoints } from "../../src/ingest/checkpoint.ts";
import { ChannelOwners } from "../../src/ingest/owners.ts";
import { Shard } from "../../src/ingest/shard.ts";
import { createFakeClock } from "../../src/lib/fake-clock.ts";
import { binanceEncoder } from "../../src/protocol/binance/mod.ts";
import { nativeEncoder } from "../../src/protocol/native/mod.ts";
import { createRing, createRingWriter, type RingReaders, type RingWriter } from "../../src/ring/mod.ts";
import { Crew } from "./crew.ts";
import { Crowd } from "./crowd.ts";
import type { Truth } from "./following.ts";
import { Market, RESYNC_MS_MAX } from "./market.ts";
import type { Plan, Step } from "./plan.ts";
import { createRandom, type Random } from "./random.ts";
import { type Listing, type Venue, venueMapper } from "./venue.ts";

/** Quiet time at the end: HEADs, retries (5 s), asking for resyncs again (5 s), closing who is stale (5 s), rungs (3 s). */
const SETTLE_MS = 22_000;
/** REST keeps a book for 60 s, the follower a topic for 60 s more. */
const FORGET_MS = 130_000;
const RECORDS_A_LAP_MAX = 150;

/** What the run brought about, so that the properties cannot be true of nothing. */
export interface Stats {
  readonly judged: number;
  readonly laps: number;
  readonly moves: number;
  readonly gaps: number;
  readonly heals: number;
  readonly epochs: number;
  readonly stales: number;
  readonly restarts: number;
  readonly oversize: number;
  /** Slow sessions that were sent down a rung, up again, left out, and brought back. */
  readonly slowed: number;
  readonly raised: number;
  readonly leftOut: number;
  readonly broughtBack: number;
  /** Sessions that were closed by the node. */
  readonly closed: number;
}

export interface Outcome {
  readonly violations: readonly string[];
  readonly stats: Stats;
  /** What went over the bus and through the ring, if `keep` was asked for. */
  readonly publications: readonly string[];
  readonly records: readonly string[];
  /** Each shard's state at the end. */
  readonly checkpoints: readonly string[];
}

export async function run(plan: Plan, keep = false): Promise<Outcome> {
  const world = new World(plan, keep);
  await world.start();
  for (const step of plan.steps) await world.step(step);
  await world.settle();
  await world.judge();
  await world.end();
  return world.outcome();
}

class World {
  readonly #plan: Plan;
  readonly #keep: boolean;
  readonly #clock = createFakeClock();
  readonly #random: Random;
  readonly #violations: string[] = [];
  readonly #publications: string[] = [];
  readonly #records: string[] = [];
  readonly #checkpoints = new MemoryCheckpoints();
  readonly #faults: SeededFaults;
  readonly #market: Market;
  readonly #ownerBus: Bus;
  readonly #shards: readonly Shard[];
  readonly #follower: Follower;
  readonly #ring: RingWriter & RingReaders;
  readonly #engine: Engine;
  readonly #crew: Crew;
  readonly #crowd: Crowd;
  #deafUntilMs = 0;

  constructor(plan: Plan, keep: boolean) {
    this.#plan = plan;
    this.#keep = keep;
    // Each part has its own, so that what one does leaves the others alone.
    const [random, venueRandom] = [createRandom(plan.seed), createRandom(plan.seed + 1)];
    this.#random = createRandom(plan.seed + 2);
    const clock = this.#clock;
    const { drop, duplicate, delay, ownIds, workers, heldMax } = plan;
    this.#faults = createFaults(plan.seed, { drop, duplicate, delay, delayMaxMs: 300 });
    this.#market = new Market({ clock, random: venueRandom, ownIds, base: (at) => this.#shards[at]!.status().base });

    const catalog = new InstrumentRegistry();
    for (const { symbol } of this.#market.listings) {
      const spelling = symbol.toUpperCase().replace("USDT", "/USDT");
      const [base = "", quote = ""] = spelling.split("/");
      catalog.add({ market: "spot", spelling, base, quote, tick: "0.01", lot: "0.01", status: "trading" });
    }
    const topicOf = (channel: string) => `fanout.${channel}`;
    const hub = createMemoryHub({
      clock,
      requestTimeoutMs: 500,
      onError: (error) => this.#threw("a receiver of the bus", error),
      faults: { fate: (delivery) => this.#fate(delivery) },
    });
    this.#ownerBus = this.#remembering(hub.attach("owner"));
    this.#shards = this.#newShards(catalog, topicOf);
    this.#follower = createFollower({
      bus: hub.attach("node"),
      clock,
      topicOf,
      random: () => 0.5,
      requestTimeoutMs: 700,
      heldMax,
    });
    const memory = createRing(plan.ringBytes, workers);
    this.#ring = this.#watched(createRingWriter(memory));
    this.#engine = new Engine({
      ring: this.#ring,
      clock,
      catalog,
      follower: this.#follower,
      encoders: { native: nativeEncoder, binance: binanceEncoder },
      // A third of the worlds without bursts, the others with bursts on one rung each.
      paceOf: () => [null, { perSecond: 20, burst: 5 }, { perSecond: 10, burst: 20 }][plan.seed % 3] ?? null,
    });
    this.#crew = new Crew({
      clock,
      random,
      memory,
      ring: this.#ring,
      workers,
      onSlow: plan.onSlow,
      handle: (worker, message) => this.#engine.handle(worker, message),
      gone: (worker) => this.#engine.workerGone(worker),
      failed: (error) => this.#threw("a command", error),
    });
    this.#crowd = new Crowd({
      clock,
      market: this.#market,
      crew: this.#crew,
      plan,
      violation: (text) => this.#violations.push(text),
      depth: (channel) => this.#engine.depth(channel, 1000),
      isStale: (channel) => this.#engine.status().stale.some((one) => one.channel === channel),
      candles: (channel) => this.#candlesOf(channel),
    });
  }

  // --- the plan ---------------------------------------------------------------------------------------------------

  async start(): Promise<void> {
    for (const shard of this.#shards) await shard.start();
    this.#crew.start();
    if (this.#plan.warm) this.#market.open();
    await this.#clock.run(100);
  }

  async step(step: Step): Promise<void> {
    const crowd = this.#crowd;
    switch (step.do) {
      case "feed":
        await this.#feed(step);
        break;
      case "lost":
        this.#market.lost(this.#market.venues[step.venue]!, step.ms, step.seed);
        break;
      case "epoch":
        await this.#found(this.#market.venues[step.venue]!);
        this.#market.newEpoch(this.#market.venues[step.venue]!, step.ms, step.seed);
        break;
      case "stale":
        this.#market.stale(this.#market.listings[step.listing]!, step.ms);
        break;
      case "open":
        crowd.open(step.binance, this.#market.listings[step.listing]!.symbol, createRandom(step.seed));
        break;
      case "act":
        crowd.act(step.client, createRandom(step.seed));
        break;
      case "restart":
        this.#crew.crash(step.worker, step.ms);
        break;
      case "pause":
        this.#crew.pause(step.worker, step.ms);
        break;
      case "lap":
        await this.#lap(step);
        break;
      case "choke":
        crowd.choke(step.client, step.ms, step.bytes);
        break;
      case "deaf":
        this.#deafUntilMs = Math.max(this.#deafUntilMs, this.#clock.monotonicMs() + step.ms);
        break;
      case "wait":
        await this.#clock.run(step.ms);
        break;
    }
    await this.#clock.run(this.#random.int(0, 30));
  }

  /** Faults end; everything that repairs itself gets its time. */
  async settle(): Promise<void> {
    const { quietEnd, endsStale } = this.#plan;
    const { listings } = this.#market;
    this.#market.wellBehaved = true;
    listings[0]!.broken = endsStale;
    if (quietEnd) await this.#lastRecords();
    this.#faults.calm();
    this.#deafUntilMs = 0;
    this.#crew.resumeAll();
    this.#crowd.unchokeAll();
    if (!quietEnd) await this.#lastRecords();
    await this.#clock.run(SETTLE_MS);
    if (quietEnd) return;
    for (const listing of listings) if (!listing.broken) this.#market.last(listing);
    await this.#clock.run(4000);
  }

  judge(): Promise<void> {
    return this.#crowd.judge();
  }

  /** Everybody leaves: nothing may be left. */
  async end(): Promise<void> {
    this.#market.ended = true;
    this.#crowd.leave();
    await this.#clock.run(FORGET_MS);
    const { channels, topics } = this.#engine.status();
    const { chains, topics: followed, held } = this.#follower.status();
    const inWorkers = this.#crew.end();
    for (const [what, left] of Object.entries({ channels, topics, chains, followed, held, inWorkers })) {
      if (left > 0) this.#violations.push(`left behind: ${left} ${what}`);
    }
    for (const shard of this.#shards) {
      if (shard.status().failure !== null) this.#violations.push(`shard failed: ${shard.status().failure}`);
    }
    this.#engine.close();
    this.#follower.close();
    const stopping = Promise.all(this.#shards.map((shard) => shard.stop()));
    await this.#clock.run(RESYNC_MS_MAX);
    await stopping;
    if (this.#clock.pending > 0) this.#violations.push(`left behind: ${this.#clock.pending} timers`);
  }

  async outcome(): Promise<Outcome> {
    const { counters } = this.#engine;
    const { judged, moves, gaps, closes } = this.#crowd;
    const { laps, restarts, slow } = this.#crew;
    const stats: Stats = {
      judged,
      laps,
      moves,
      gaps,
      heals: this.#follower.status().counters.heals,
      epochs: counters.epochs,
      stales: Object.values(counters.stale).reduce((sum, n) => sum + n, 0),
      restarts,
      oversize: counters.oversize,
      slowed: (slow.down ?? 0) + (slow.downAge ?? 0) + (slow.down1000 ?? 0),
      raised: slow.up ?? 0,
      leftOut: slow.leftOut ?? 0,
      broughtBack: slow.gap ?? 0,
      closed: Object.entries(closes).reduce((sum, [code, n]) => (code === "1006" ? sum : sum + n), 0),
    };
    const saved = await Promise.all(this.#shards.map((shard) => this.#checkpoints.load(shard.id)));
    return {
      violations: this.#violations,
      stats,
      publications: this.#publications,
      records: this.#records,
      checkpoints: saved.map((checkpoint) => JSON.stringify(checkpoint)),
    };
  }

  // --- steps ------------------------------------------------------------------------------------------------------

  async #feed({ mix, listing: at, count, gapMs, seed }: Step & { do: "feed" }): Promise<void> {
    const listing = this.#market.listings[at]!;
    const random = createRandom(seed);
    for (let i = 0; i < count; i++) {
      if (mix === "wild" && random.chance(0.4)) this.#market.bad(listing, random);
      else if (mix === "long") this.#market.long(listing, random);
      else this.#market.good(listing, random);
      if (gapMs > 0) await this.#clock.run(gapMs);
    }
  }

  /** Trades so long and many that the ring goes round while the worker stands still; other things happen meanwhile. */
  async #lap({ worker, listing: at, times, ms, also, seed }: Step & { do: "lap" }): Promise<void> {
    const random = createRandom(seed);
    const listing = await this.#traded(at, random);
    const venue = this.#market.venueOf(listing);
    const { listings } = venue;
    const alsoAt = random.int(0, 20);
    this.#crew.pause(worker, Number.POSITIVE_INFINITY);
    const end = this.#ring.written + times * this.#ring.capacityBytes;
    for (let sent = 0; sent < RECORDS_A_LAP_MAX && this.#ring.written < end; sent++) {
      this.#market.long(listing, random);
      if (random.chance(0.3)) this.#market.good(random.pick(listings), random);
      if (random.chance(0.03)) this.#market.bad(random.pick(listings), random);
      if (sent === alsoAt && also === "stale") venue.corrupted(random.pick(listings), random);
      if (sent === alsoAt && also === "lost") this.#market.lost(venue, random.int(1, 300), seed);
      if (sent === alsoAt && also === "epoch") {
        await this.#found(venue);
        this.#market.newEpoch(venue, random.int(1, 300), seed);
      }
      await this.#clock.run(random.int(0, 3));
    }
    this.#crew.resume(worker, ms);
  }

  /** An instrument whose trades somebody follows, so that they go through the ring. */
  async #traded(at: number, random: Random): Promise<Listing> {
    const followed = this.#market.listings.filter(({ symbol }) => this.#crowd.wantsTrades(symbol));
    if (followed.length > 0) return followed[at % followed.length]!;
    const listing = this.#market.listings[at]!;
    this.#crowd.openNative([`${listing.symbol}@trade`], random, 0);
    await this.#clock.run(30);
    return listing;
  }

  /**
   * A channel without data belongs to no shard yet; after its first data the follower finds it by the next HEAD. What
   * becomes of an epoch that ends in between is not what these worlds are about: they wait.
   */
  async #found(venue: Venue): Promise<void> {
    const isUnplaced = ({ symbol, trades }: Listing) =>
      trades.length > 0 && this.#crowd.wantsTrades(symbol) && this.#follower.shardOf(`${symbol}@trade`) === null;
    for (let tries = 0; tries < 400 && venue.listings.some(isUnplaced); tries++) await this.#clock.run(50);
  }

  async #lastRecords(): Promise<void> {
    for (const listing of this.#market.listings) {
      this.#market.last(listing);
      await this.#clock.run(this.#random.int(0, 20));
    }
  }

  // --- the parts --------------------------------------------------------------------------------------------------

  #newShards(catalog: InstrumentRegistry, topicOf: (channel: string) => string): Shard[] {
    const owners = new ChannelOwners();
    return this.#market.venues.map((venue) => {
      let epochs = 0;
      return new Shard({
        id: venue.name,
        source: venue,
        mapper: venueMapper,
        bus: this.#ownerBus,
        catalog,
        owners,
        checkpoints: this.#checkpoints,
        clock: this.#clock,
        topicOf,
        provides: ["trade", "depth"],
        log: { info: () => undefined, warn: () => undefined, error: (message) => this.#threw("a shard", message) },
        randomId: () => `${venue.name}-e${++epochs}`,
      });
    });
  }

  #fate(delivery: Parameters<SeededFaults["fate"]>[0]): readonly number[] {
    if (delivery.node === "owner") return NOW;
    return this.#clock.monotonicMs() < this.#deafUntilMs ? LOST : this.#faults.fate(delivery);
  }

  /** The owners' bus, with a memory of what they publish. */
  #remembering(bus: Bus): Bus {
    if (!this.#keep) return bus;
    return {
      ...bus,
      publish: (header, topic, publication) => {
        this.#publications.push(JSON.stringify([header, topic, publication]));
        bus.publish(header, topic, publication);
      },
      head: (head: Head) => {
        this.#publications.push(JSON.stringify(head));
        bus.head(head);
      },
    };
  }

  /** The ring, with a memory of its records; the crew hears of each. */
  #watched(ring: RingWriter & RingReaders): RingWriter & RingReaders {
    return {
      write: (kind, fields, payload) => {
        ring.write(kind, fields, payload);
        if (this.#keep) this.#records.push(JSON.stringify([kind, fields, payload]));
        this.#crew.written();
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

  /** The owner's own word on its candles. */
  async #candlesOf(name: string): Promise<Truth["candles"]> {
    if (!name.includes("kline")) return { closed: [], current: null };
    const replies: (StateReply | null)[] = [];
    const request = { channel: name.replace(/^spot:/, ""), user: "", since: null };
    this.#ownerBus.request(request).then((reply) => replies.push(reply));
    await this.#clock.run(0);
    const reply = replies[0];
    if (!reply) return { closed: [], current: null };
    const closed: { seq: number; candle: Candle }[] = [];
    for (const { seq, type, data } of reply.history as readonly Publication[]) {
      if (type === "candles") for (const candle of data) if (candle.closed) closed.push({ seq, candle });
    }
    return { closed, current: reply.state?.type === "candles" ? reply.state.data[0]! : null };
  }

  #threw(where: string, error: unknown): void {
    this.#violations.push(`${where} threw: ${error instanceof Error ? error.stack : String(error)}`);
  }
}
