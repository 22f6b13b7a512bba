/**
 * The owners of a world's shards: ingest nodes that run them, stop, die, are cut off, are overtaken, and come back.
 *
 * Invariants: a later owner's token is higher than an earlier one's, unless the store lost it; an owner that dies says
 * nothing more and stores nothing more; one that is cut off or overtaken goes on talking until it learns of it.
 */
import type { Bus, StateReply, StateRequest, Subscription } from "../../src/bus/bus.ts";
import type { MemoryHub } from "../../src/bus/memory.ts";
import type { InstrumentRegistry } from "../../src/channel/registry.ts";
import type { CheckpointStore } from "../../src/ingest/checkpoint.ts";
import { ChannelOwners } from "../../src/ingest/owners.ts";
import { Shard } from "../../src/ingest/shard.ts";
import { type Clock, wallMs } from "../../src/lib/clock.ts";
import type { Connection } from "./connection.ts";
import type { Market } from "./market.ts";
import type { NodeClock } from "./node-clock.ts";
import type { Door, Store } from "./store.ts";
import type { Trace } from "./trace.ts";
import { type Venue, venueMapper } from "./venue.ts";

/** The record of everything that owners say on the bus. */
export type Heard = (owner: string, what: "publication" | "head", content: unknown) => void;

export interface OwnersOptions {
  readonly clock: Clock;
  readonly hub: MemoryHub;
  readonly market: Market;
  readonly store: Store;
  readonly catalog: InstrumentRegistry;
  readonly topicOf: (channel: string) => string;
  /** The clocks of the ingest nodes' threads, by name. */
  readonly nodes: ReadonlyMap<string, NodeClock>;
  readonly heard: Heard | null;
  /** What is said in the call reaches this node only. */
  readonly onlyOn: (node: string, call: () => void) => void;
  readonly trace: Trace;
}

/** One owner of one shard, from its start to its end. */
interface Owner {
  readonly venue: Venue;
  readonly node: string;
  readonly label: string;
  readonly shard: Shard;
  readonly bus: OwnerBus;
  readonly door: Door;
  readonly connection: Connection;
  alive: boolean;
}

/** An owner's bus, which can be cut off from all nodes but its own. */
interface OwnerBus {
  readonly bus: Bus;
  cut(cut: boolean): void;
  /** Of those who answer it is asked first. */
  first(): void;
}

export class Owners {
  starts = 0;
  readonly #options: OwnersOptions;
  /** Tokens are no lower than that. */
  readonly #beganMs: number;
  readonly #all: Owner[] = [];
  readonly #numbers = new Map<Venue, number>();
  readonly #ending: Promise<void>[] = [];
  #ended = false;

  constructor(options: OwnersOptions) {
    this.#options = options;
    this.#beganMs = wallMs(options.clock) - 1;
  }

  /** Another owner begins on this node. */
  start(venue: Venue, node: string): void {
    const { nodes, hub, store, catalog, topicOf, trace } = this.#options;
    const clock = nodes.get(node)!;
    const number = (this.#numbers.get(venue) ?? 0) + 1;
    this.#numbers.set(venue, number);
    const label = `${venue.name}-r${number}`;
    const bus = this.#busOf(hub.attach(node), label, node);
    const door = store.door(clock);
    const connection: Connection = venue.connect({ clock, position: () => shard.status() });
    let epochs = 0;
    const shard: Shard = new Shard({
      id: venue.name,
      source: connection,
      mapper: venueMapper,
      bus: bus.bus,
      catalog,
      owners: new ChannelOwners(),
      checkpoints: door satisfies CheckpointStore,
      clock,
      topicOf,
      provides: ["trade", "depth"],
      log: {
        info: (message, fields) => trace.say(() => `${label} ${message} ${JSON.stringify(fields)}`),
        warn: (message) => trace.say(() => `${label} ${message}`),
        error: (message) => trace.say(() => `${label} ${message}`),
      },
      randomId: () => `${label}-e${++epochs}`,
      owner: label,
    });
    this.starts++;
    trace.say(() => `${label} starts on ${node}`);
    const owner: Owner = { venue, node, label, shard, bus, door, connection, alive: true };
    this.#all.push(owner);
    shard.start().catch((error: unknown) => {
      if (!owner.alive) return;
      trace.say(() => `${label} did not start: ${error}`);
      this.#end(owner, false);
      clock.after(START_AGAIN_MS, () => {
        if (!this.#ended && this.ownerOf(venue) === null) this.start(venue, node);
      });
    });
  }

  /**
   * Another owner begins while the one before still talks, which does not learn of it from the store for `ms`; who asks
   * meets the old one first.
   */
  takeOver(venue: Venue, node: string, ms: number): void {
    const old = this.ownerOf(venue);
    old?.door.jam(ms);
    this.start(venue, node);
    if (old === null) return;
    const { clock } = this.#options;
    clock.after(Math.min(ms, OLD_FIRST_MS), () => {
      if (old.alive) old.bus.first();
    });
  }

  /** Whose token is the highest; null if nobody lives. */
  ownerOf(venue: Venue): Owner | null {
    let newest: Owner | null = null;
    for (const one of this.#all) {
      if (one.venue !== venue || !one.alive) continue;
      if (newest === null || claimOf(one) >= claimOf(newest)) newest = one;
    }
    return newest;
  }

  /** Where this owner stands among those of its shard: by token; of one token only the last did anything. */
  rankOf(label: string): number {
    const at = this.#all.findIndex((one) => one.label === label);
    return at < 0 ? 0 : (tokenOf(this.#all[at]!) - this.#beganMs) * OWNERS_MAX + at;
  }

  /** Somebody on this node speaks for the shard. */
  speaks(shard: string, node: string): boolean {
    return this.#on(node, shard).length > 0;
  }

  isOwn(shard: string, node: string, token: number): boolean {
    return this.#on(node, shard).some((owner) => owner.shard.speaks(token));
  }

  /** The node has heard of an owner with this token. */
  heard(shard: string, node: string, token: number): void {
    for (const owner of this.#on(node, shard)) owner.shard.heard(token);
  }

  /** All owners of the shard end; `crash`: without another word. */
  end(venue: Venue, crash: boolean): void {
    for (const owner of this.#all) if (owner.venue === venue && owner.alive) this.#end(owner, crash);
  }

  /** No other node hears the present owner any more, or again. */
  cut(venue: Venue, cut: boolean): void {
    this.ownerOf(venue)?.bus.cut(cut);
  }

  /** Every shard has one owner, which everybody can hear. */
  settle(node: string): void {
    for (const owner of this.#all) {
      if (owner.alive && this.ownerOf(owner.venue) !== owner) this.#end(owner, false);
      owner.bus.cut(false);
    }
    for (const venue of this.#options.market.venues) {
      const owner = this.ownerOf(venue);
      if (owner !== null && owner.shard.status().failure === null) continue;
      if (owner !== null) this.#end(owner, false);
      this.start(venue, node);
    }
  }

  /** The owner's own answer; null if nobody knows. */
  ask(request: StateRequest): Promise<StateReply | null> {
    const { hub } = this.#options;
    const bus = hub.attach("judge");
    return bus.request(request);
  }

  /** All end in order; settles when they have. */
  stop(): Promise<void> {
    this.#ended = true;
    for (const owner of this.#all) if (owner.alive) this.#end(owner, false);
    return Promise.all(this.#ending).then(() => undefined);
  }

  /** What failed for good. */
  failures(): string[] {
    return this.#all.flatMap(({ shard, label }) => {
      const { failure } = shard.status();
      return failure === null || failure === OVERTAKEN ? [] : [`${label} failed: ${failure}`];
    });
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #on(node: string, shard: string): Owner[] {
    return this.#all.filter((one) => one.alive && one.node === node && one.venue.name === shard);
  }

  #end(owner: Owner, crash: boolean): void {
    owner.alive = false;
    this.#options.trace.say(() => `${owner.label} ${crash ? "dies" : "stops"}`);
    if (crash) {
      owner.door.shut();
      void owner.bus.bus.close();
    }
    const stopped = owner.shard.stop();
    // What a dead owner still waits for never comes.
    if (!crash) this.#ending.push(stopped.then(() => owner.bus.bus.close()));
  }

  #busOf(inner: Bus, label: string, node: string): OwnerBus {
    const { heard, onlyOn } = this.#options;
    let isCut = false;
    let serving: (() => Subscription) | null = null;
    let served: Subscription | null = null;
    const bus: Bus = {
      ...inner,
      publish: (header, topic, publication) => {
        heard?.(label, "publication", [header, topic, publication]);
        if (isCut) onlyOn(node, () => inner.publish(header, topic, publication));
        else inner.publish(header, topic, publication);
      },
      head: (head) => {
        heard?.(label, "head", head);
        if (isCut) onlyOn(node, () => inner.head(head));
        else inner.head(head);
      },
      serve: (shard, ...answers) => {
        serving = () => inner.serve(shard, ...answers);
        if (!isCut) served = serving();
        return {
          close: () => {
            serving = null;
            served?.close();
          },
        };
      },
    };
    const cut = (now: boolean): void => {
      if (isCut === now) return;
      isCut = now;
      served?.close();
      served = now ? null : (serving?.() ?? null);
    };
    const first = (): void => {
      if (isCut || serving === null) return;
      cut(true);
      cut(false);
    };
    return { bus, cut, first };
  }
}

const tokenOf = ({ shard }: Owner): number => shard.status().token;

/** Who has noticed that it was overtaken counts for less than anybody else. */
const claimOf = (owner: Owner): number => (owner.shard.lost ? -1 : tokenOf(owner));

/** A while after a take-over the old owner answers first. */
const OLD_FIRST_MS = 50;
/** In one world. */
const OWNERS_MAX = 1000;
/** A node tries again when the store did not answer. */
const START_AGAIN_MS = 500;
const OVERTAKEN = "a newer owner has taken it";
