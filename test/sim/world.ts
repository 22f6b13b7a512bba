/**
 * A world: whole nodes in one process, on one clock that moves only when it is told to.
 *
 *     market (venues) -> owners (Shard) -> memory bus with faults -> nodes (follower -> Engine -> ring -> crew) -> crowd (clients)
 *
 * Everything but the venues, Bun's sockets, the clock and the clients is what a node runs. After the plan's steps the
 * faults end, the world waits until everything that repairs itself has had its time, and then every client is judged
 * against its venue. Finally all clients leave: nothing of them may be left anywhere.
 * Invariant: synchronous from beginning to end; promises move on only where the clock lets them (`settle` of the fake
 * clock), so that the same plan gives the same world, to the byte.
 */
import { drainMicrotasks } from "bun:jsc";
import type { StateReply } from "../../src/bus/bus.ts";
import { createFaults } from "../../src/bus/faults.ts";
import { createMemoryHub } from "../../src/bus/memory.ts";
import { InstrumentRegistry } from "../../src/channel/registry.ts";
import type { Candle, Publication } from "../../src/channel/types.ts";
import { createFakeClock } from "../../src/lib/fake-clock.ts";
import { Crowd } from "./crowd.ts";
import type { Truth } from "./following.ts";
import { Market, RESYNC_MS_MAX } from "./market.ts";
import { Network } from "./network.ts";
import { Node } from "./node.ts";
import { NodeClock } from "./node-clock.ts";
import { Owners } from "./owners.ts";
import type { Plan, Step } from "./plan.ts";
import { createRandom, type Random } from "./random.ts";
import { shown } from "./show.ts";
import { type Stats, statsOf } from "./stats.ts";
import { Store } from "./store.ts";
import { Lines } from "./trace.ts";
import type { Listing } from "./venue.ts";
import { Watch } from "./watch.ts";

export type { Stats } from "./stats.ts";

/** Quiet time at the end: HEADs, retries (5 s), asking for resyncs again (5 s), closing who is stale (5 s), rungs (3 s). */
const SETTLE_MS = 22_000;
/** After the last records of all. */
const LAST_MS = 4000;
/** Who is not patient looks so often whether all is well. */
const LOOK_MS = 3000;
/** REST keeps a book for 60 s, the follower a topic for its linger more. */
const FORGET_MS = 70_000;
/** Owners store a last checkpoint, and venues had requests to answer. */
const STOP_MS = RESYNC_MS_MAX + 500;
const RECORDS_A_LAP_MAX = 150;

export interface Outcome {
  readonly violations: readonly string[];
  readonly stats: Stats;
  /** What went over the bus and through the rings, if `keep` was asked for. */
  readonly publications: readonly string[];
  readonly records: readonly string[];
  /** Each shard's state at the end. */
  readonly checkpoints: readonly string[];
  /** What happened, if `keep` was asked for. */
  readonly trace: readonly string[];
}

/** Plays the plan. `keep`: with a record of everything. */
export function run(plan: Plan, keep = false): Outcome {
  const world = new World(plan, keep);
  world.start();
  for (const step of plan.steps) world.step(step);
  world.settle();
  world.end();
  return world.outcome();
}

class World {
  readonly #plan: Plan;
  readonly #clock = createFakeClock();
  readonly #random: Random;
  readonly #violations: string[] = [];
  readonly #publications: string[] = [];
  readonly #records: string[] = [];
  readonly #trace: Lines;
  readonly #threads = new Map<string, NodeClock>();
  readonly #network: Network;
  readonly #market: Market;
  readonly #store: Store;
  readonly #owners: Owners;
  readonly #ingest: readonly string[];
  readonly #nodes: readonly Node[];
  readonly #crowd: Crowd;
  readonly #watch: Watch;

  constructor(plan: Plan, keep: boolean) {
    this.#plan = plan;
    // Each part has its own, so that what one does leaves the others alone.
    const [random, venueRandom] = [createRandom(plan.seed), createRandom(plan.seed + 1)];
    this.#random = createRandom(plan.seed + 2);
    const clock = this.#clock;
    const { drop, duplicate, delay, ownIds, venues, bytes } = plan;
    const trace = new Lines(clock, keep);
    this.#trace = trace;
    this.#market = new Market({
      clock,
      random: venueRandom,
      ownIds,
      venues,
      rankOf: (owner) => this.#owners.rankOf(owner),
    });
    this.#store = new Store({ random: createRandom(plan.seed + 3), delayMsMax: plan.storeMs, copies: bytes });

    const catalog = new InstrumentRegistry();
    for (const { symbol } of this.#market.listings) {
      const base = symbol.slice(0, 3).toUpperCase();
      const [spelling, quote] = [`${base}USDT`, "USDT"];
      catalog.add({ market: "spot", spelling, base, quote, tick: "0.01", lot: "0.01", status: "trading" });
    }
    const topicOf = (channel: string) => `fanout.${channel}`;
    const names = Array.from({ length: plan.nodes }, (_, at) => `n${at}`);
    this.#ingest = Array.from({ length: plan.ingest }, (_, at) => (plan.bothRoles ? `n${at % plan.nodes}` : `i${at}`));
    for (const name of [...names, ...this.#ingest]) this.#threads.set(name, new NodeClock(clock));
    this.#network = new Network({
      faults: createFaults(plan.seed, { drop, duplicate, delay, delayMaxMs: 300 }),
      nodes: new Map(names.map((name) => [name, this.#threadOf(name)])),
      isLocal: (shard, node) => this.#owners.speaks(shard, node),
      shardOf: (channel) => this.#market.venueOf(this.#market.listingOf(channel)).name,
      trace,
    });
    const hub = createMemoryHub({
      clock,
      requestTimeoutMs: 500,
      throughBytes: bytes,
      onError: (error) => this.#threw("a receiver of the bus", error),
      faults: this.#network,
    });
    this.#owners = new Owners({
      clock,
      hub,
      market: this.#market,
      store: this.#store,
      catalog,
      topicOf,
      nodes: this.#threads,
      onlyOn: (node, call) => this.#network.onlyOn(node, call),
      heard: keep ? (owner, what, said) => this.#heard(owner, what, said) : null,
      trace,
    });
    this.#watch = new Watch(
      clock,
      trace,
      (id) => this.#market.epochOf(id),
      (text) => this.#violations.push(text),
    );
    this.#nodes = names.map((name) => {
      return new Node({
        name,
        plan,
        clock,
        mainClock: this.#threadOf(name),
        random,
        bus: this.#watch.over(name, hub.attach(name)),
        catalog,
        topicOf,
        trace,
        isOwn: (shard, token) => this.#owners.isOwn(shard, name, token),
        raised: (shard, token) => this.#owners.heard(shard, name, token),
        recorded: keep ? (record) => this.#records.push(record) : null,
        failed: (where, error) => this.#threw(where, error),
      });
    });
    this.#crowd = new Crowd({
      clock,
      market: this.#market,
      nodes: this.#nodes,
      plan,
      violation: (text) => this.#violations.push(text),
      candles: (channel) => this.#candlesOf(channel),
      trace,
    });
    this.#watch.clients(this.#crowd, this.#nodes);
  }

  // --- the plan ---------------------------------------------------------------------------------------------------

  start(): void {
    this.#market.venues.forEach((venue, at) => void this.#owners.start(venue, this.#ingestAt(at)));
    this.#run(0);
    for (const node of this.#nodes) node.crew.start();
    if (this.#plan.warm) {
      // A store that is slow keeps an owner from starting.
      this.#run(2 * this.#plan.storeMs);
      this.#market.open();
    }
    this.#run(100);
  }

  step(step: Step): void {
    this.#trace.say(() => `- ${shown(step)}`);
    this.#do(step);
    this.#run(this.#random.int(0, 30));
  }

  /** Faults end; everything that repairs itself gets its time; then everybody is judged. */
  settle(): void {
    this.#trace.say(() => "- the faults end");
    const { quietEnd, endsStale } = this.#plan;
    const { listings } = this.#market;
    this.#market.wellBehaved = true;
    listings[0]!.broken = endsStale;
    this.#store.fail(false);
    this.#owners.settle(this.#ingestAt(0));
    // What a venue says while nobody hears it is nobody's loss.
    for (let tries = 0; tries < 100 && !this.#market.venues.every(({ heard }) => heard); tries++) this.#run(100);
    if (quietEnd) this.#lastRecords();
    this.#network.calm();
    for (const { crew } of this.#nodes) crew.resumeAll();
    this.#crowd.unchokeAll();
    if (!quietEnd) this.#lastRecords();
    let faults = this.#heal(SETTLE_MS);
    if (!quietEnd) {
      for (const listing of listings) if (!listing.broken) this.#market.last(listing);
      faults = this.#heal(LAST_MS);
    }
    this.#violations.push(...faults);
  }

  /** Everybody leaves: nothing may be left. */
  end(): void {
    this.#trace.say(() => "- everybody leaves");
    this.#market.ended = true;
    this.#watch.end();
    this.#crowd.leave();
    this.#run(3000);
    const inWorkers = this.#nodes.reduce((sum, { crew }) => sum + crew.end(), 0);
    if (inWorkers > 0) this.#violations.push(`left behind: ${inWorkers} in workers`);
    this.#run(FORGET_MS + this.#plan.lingerMs);
    for (const { name, engine, follower } of this.#nodes) {
      const { channels, topics } = engine.status();
      const { chains, topics: followed, held } = follower.status();
      for (const [what, left] of Object.entries({ channels, topics, chains, followed, held })) {
        if (left > 0) this.#violations.push(`left behind on ${name}: ${left} ${what}`);
      }
    }
    for (const node of this.#nodes) node.close();
    let stopped = false;
    this.#owners.stop().then(() => {
      stopped = true;
    });
    this.#run(STOP_MS);
    if (!stopped) this.#violations.push("an owner did not stop");
    this.#violations.push(...this.#owners.failures());
    if (this.#clock.pending > 0) this.#violations.push(`left behind: ${this.#clock.pending} timers`);
  }

  outcome(): Outcome {
    const saved = this.#market.venues.map(({ name }) => this.#now(() => this.#store.load(name)));
    const stats = statsOf(this.#nodes, this.#crowd, this.#owners, this.#network);
    return {
      violations: this.#violations,
      stats,
      publications: this.#publications,
      records: this.#records,
      checkpoints: saved.map((checkpoint) => JSON.stringify(checkpoint)),
      trace: this.#trace.lines,
    };
  }

  // --- steps ------------------------------------------------------------------------------------------------------

  #do(step: Step): void {
    const { venues, listings } = this.#market;
    const crowd = this.#crowd;
    switch (step.do) {
      case "feed":
        this.#feed(step);
        break;
      case "lost":
        this.#market.lost(venues[step.venue]!, step.ms, step.seed);
        break;
      case "epoch":
        this.#market.newEpoch(venues[step.venue]!, step.ms, step.seed);
        break;
      case "retain":
        this.#market.retain(venues[step.venue]!, step.keep);
        break;
      case "stale":
        this.#market.stale(listings[step.listing]!, step.ms);
        break;
      case "open":
        crowd.open(step.binance, listings[step.listing]!.symbol, createRandom(step.seed));
        break;
      case "act":
        crowd.act(step.client, createRandom(step.seed));
        break;
      case "restart":
        this.#nodeAt(step.node).crew.crash(step.worker, step.ms);
        break;
      case "pause":
        this.#nodeAt(step.node).crew.pause(step.worker, step.ms);
        this.#nodeAt(step.node).disturbed(step.ms);
        break;
      case "lap":
        this.#lap(step);
        break;
      case "choke":
        crowd.choke(step.client, step.ms, step.bytes);
        break;
      case "deaf":
        this.#network.deafen(this.#nodeAt(step.node).name, step.ms);
        break;
      case "freeze":
        this.#freeze(step.node, step.ms);
        break;
      case "last":
        this.#loseLast(step);
        break;
      case "own":
        this.#own(step);
        break;
      case "store":
        this.#store.fail(true);
        this.#clock.after(step.ms, () => this.#store.fail(false));
        break;
      case "wait":
        this.#run(step.ms);
        break;
    }
  }

  #feed({ mix, listing: at, count, gapMs, seed }: Step & { do: "feed" }): void {
    const listing = this.#market.listings[at]!;
    const random = createRandom(seed);
    for (let i = 0; i < count; i++) {
      if (mix === "wild" && random.chance(0.4)) this.#market.bad(listing, random);
      else if (mix === "long") this.#market.long(listing, random);
      else this.#market.good(listing, random);
      if (gapMs > 0) this.#run(gapMs);
    }
  }

  /** Trades so long and many that the ring goes round while the worker stands still; other things happen meanwhile. */
  #lap({ node: on, worker, listing: at, times, ms, also, seed }: Step & { do: "lap" }): void {
    const { crew, ring } = this.#nodeAt(on);
    const random = createRandom(seed);
    const listing = this.#traded(at, random);
    const venue = this.#market.venueOf(listing);
    const { listings } = venue;
    const alsoAt = random.int(0, 20);
    crew.pause(worker, Number.POSITIVE_INFINITY);
    const end = ring.written + times * ring.capacityBytes;
    for (let sent = 0; sent < RECORDS_A_LAP_MAX && ring.written < end; sent++) {
      this.#market.long(listing, random);
      if (random.chance(0.3)) this.#market.good(random.pick(listings), random);
      if (random.chance(0.03)) this.#market.bad(random.pick(listings), random);
      if (sent === alsoAt && also === "stale") venue.corrupted(random.pick(listings), random);
      if (sent === alsoAt && also === "lost") this.#market.lost(venue, random.int(1, 300), seed);
      if (sent === alsoAt && also === "epoch") this.#market.newEpoch(venue, random.int(1, 300), seed);
      this.#run(random.int(0, 3));
      this.#nodeAt(on).disturbed(ms);
    }
    crew.resume(worker, ms);
  }

  /** Workers do not read what the main thread does not write; an ingest node's thread may have none. */
  #freeze(at: number, ms: number): void {
    const node = this.#nodes.find(({ name }) => name === this.#threadAt(at));
    if (node !== undefined) node.freeze(ms);
    else this.#threadOf(this.#threadAt(at)).freeze(ms);
    for (const one of this.#nodes) one.disturbed(ms);
  }

  #loseLast({ listing, nodes, ms }: Step & { do: "last" }): void {
    this.#network.lose(nodes.map((at) => this.#nodeAt(at).name));
    this.#market.good(this.#market.listings[listing]!, this.#random);
    this.#run(0);
    this.#network.lose([]);
    this.#run(ms);
  }

  #own({ venue: at, how, ingest, lose, ms }: Step & { do: "own" }): void {
    const venue = this.#market.venues[at]!;
    const owner = this.#owners.ownerOf(venue);
    if (how === "cut") {
      this.#owners.cut(venue, true);
      this.#clock.after(ms, () => this.#owners.cut(venue, false));
      return;
    }
    if (lose) this.#store.lose();
    if (how === "takeOver") {
      const other = this.#ingest.find((name) => name !== owner?.node);
      if (other === undefined) return;
      if (owner === null) this.#owners.start(venue, other);
      else this.#owners.takeOver(venue, other, ms);
      return;
    }
    this.#owners.end(venue, how === "crash");
    this.#run(ms);
    if (this.#owners.ownerOf(venue) === null) this.#owners.start(venue, this.#ingestAt(ingest));
  }

  /** An instrument whose trades somebody follows, so that they go through the ring. */
  #traded(at: number, random: Random): Listing {
    const followed = this.#market.listings.filter(({ symbol }) => this.#crowd.wantsTrades(symbol));
    if (followed.length > 0) return followed[at % followed.length]!;
    const listing = this.#market.listings[at]!;
    this.#crowd.openNative([`${listing.symbol}@trade`], random, 0);
    this.#run(30);
    return listing;
  }

  #lastRecords(): void {
    for (const listing of this.#market.listings) {
      this.#market.last(listing);
      this.#run(this.#random.int(0, 20));
    }
  }

  // --- time -------------------------------------------------------------------------------------------------------

  #run(ms: number): void {
    this.#clock.advance(ms, drainMicrotasks);
  }

  /** Gives everything that repairs itself its time; what is wrong even then. */
  #heal(msMax: number): string[] {
    if (this.#plan.patient) {
      this.#run(LOOK_MS);
      this.#owners.settle(this.#ingestAt(0));
      this.#run(msMax - LOOK_MS);
      return this.#crowd.judge();
    }
    for (let left = msMax; ; left -= LOOK_MS) {
      this.#owners.settle(this.#ingestAt(0));
      this.#run(Math.min(left, LOOK_MS));
      const faults = this.#crowd.judge();
      if (faults.length === 0 || left <= LOOK_MS) return faults;
    }
  }

  /** What a promise gives that needs no time. */
  #now<T>(ask: () => Promise<T>): T | null {
    const given: T[] = [];
    ask().then((value) => given.push(value));
    drainMicrotasks();
    return given[0] ?? null;
  }

  // --- the parts --------------------------------------------------------------------------------------------------

  #threadOf(name: string): NodeClock {
    return this.#threads.get(name)!;
  }

  /** Any node's thread. */
  #threadAt(at: number): string {
    const names = [...this.#threads.keys()];
    return names[at % names.length]!;
  }

  #ingestAt(at: number): string {
    return this.#ingest[at % this.#ingest.length]!;
  }

  #nodeAt(at = 0): Node {
    return this.#nodes[at % this.#nodes.length]!;
  }

  /** The owner's own word on its candles. */
  #candlesOf(name: string): Truth["candles"] {
    if (!name.includes("kline")) return { closed: [], current: null };
    const request = { channel: name.replace(/^spot:/, ""), user: "", since: null };
    const reply = this.#now<StateReply | null>(() => this.#owners.ask(request));
    if (reply === null) return { closed: [], current: null };
    const closed: { seq: number; candle: Candle }[] = [];
    for (const { seq, type, data } of reply.history as readonly Publication[]) {
      if (type === "candles") for (const candle of data) if (candle.closed) closed.push({ seq, candle });
    }
    return { closed, current: reply.state?.type === "candles" ? reply.state.data[0]! : null };
  }

  #heard(owner: string, what: string, said: unknown): void {
    const text = JSON.stringify(said);
    this.#publications.push(text);
    this.#trace.say(() => `${owner} ${what} ${text.length > 300 ? `${text.slice(0, 300)} ...` : text}`);
  }

  #threw(where: string, error: unknown): void {
    this.#violations.push(`${where} threw: ${error instanceof Error ? error.stack : String(error)}`);
  }
}
