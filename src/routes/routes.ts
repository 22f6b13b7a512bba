/**
 * Routes: from the configuration to shards that run.
 *
 *     data source -> broker -> watch(source topic) -> inputs -> of those this node owns: one shard each
 *
 * Invariants: every node with the same configuration and peers comes to the same shards and owners; an input that goes takes
 * its shard with it, one that stays is not touched; a change restarts only the shards whose mappers or mappings it touches,
 * each from its own checkpoint.
 * At the limit: none of its own: as many shards as the brokers have inputs.
 */
import { ownerOf } from "../cluster/peers.ts";
import type { DataSourceSpec, DynamicConfig } from "../config/dynamic/types.ts";
import type { Broker, BrokerInput, BrokerStatus, TopicPattern, Watch } from "../ingest/broker.ts";
import type { Mapper } from "../ingest/mapper/mod.ts";
import type { Shard } from "../ingest/shard.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { assert } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Brokers } from "./brokers.ts";
import { type KindOf, plansOf, providedBy, type RoutePlan, shardName } from "./plan.ts";
import { RoutedShard, type RoutedShardState, type ShardCommon } from "./routed-shard.ts";

export interface RoutesOptions {
  readonly nodeId: string;
  /** Names of the ingest nodes. */
  readonly peers: readonly string[];
  readonly brokers: Brokers;
  readonly common: ShardCommon;
  readonly patternOf: (plan: RoutePlan) => TopicPattern;
  readonly mapperOf: (plan: RoutePlan, pattern: TopicPattern) => Mapper;
  readonly kindOf: KindOf;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

/** An input as this node sees it. */
export interface RouteInputStatus {
  readonly shard: string;
  readonly owner: string;
  /** `elsewhere`: another node's. */
  readonly state: RoutedShardState["name"] | "elsewhere";
  readonly reason: string;
  /** Times it failed and was started again. */
  readonly failures: number;
}

export interface RoutesStatus {
  readonly brokers: readonly BrokerStatus[];
  readonly inputs: readonly RouteInputStatus[];
}

/** One plan that is watched. */
interface Running {
  plan: RoutePlan;
  readonly watch: Watch;
  inputs: readonly BrokerInput[];
}

interface Held {
  readonly routed: RoutedShard;
  readonly signature: string;
}

const LOOK_MS = 250;

export class Routes {
  readonly #options: RoutesOptions;
  readonly #running = new Map<string, Running>();
  /** By name; one that is being stopped stays until it is. */
  readonly #shards = new Map<string, Held>();
  readonly #stopping = new Map<string, Promise<void>>();
  readonly #orphansTold = new Set<string>();
  #provides: readonly ReturnType<KindOf>[] = [];
  #look: Timer | null = null;
  #closed = false;

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  /** Starts what is new, stops what is gone, restarts what is read differently. Throws at mistakes in a data source. */
  apply(config: DynamicConfig): void {
    const { brokers, kindOf } = this.#options;
    const provides = providedBy(config, kindOf);
    this.#provides = provides;
    const plans = new Map(plansOf(config, provides).map((plan) => [plan.key, plan]));
    for (const [key, running] of this.#running) {
      const plan = plans.get(key);
      if (plan === undefined) {
        running.watch.close();
        this.#running.delete(key);
      } else {
        running.plan = plan;
      }
    }
    const sources = new Map(config.datasource.map((source) => [source.name, source]));
    // Also one that no route reads yet: whether it can be reached is told.
    for (const source of config.datasource) brokers.open(source);
    for (const [key, plan] of plans) {
      if (!this.#running.has(key)) this.#watch(key, plan, brokers.open(sourceOf(sources, plan)));
    }
    for (const plan of plans.values()) this.#tellOrphan(plan);
    this.#arrange();
    this.#look ??= this.#lookLater();
  }

  /** Those of this node that run. */
  shards(): Shard[] {
    return [...this.#shards.values()].flatMap(({ routed }) => routed.shard ?? []);
  }

  /** This node's shard of that name; null: another node's, or not started. */
  shard(name: string): Shard | null {
    return this.#shards.get(name)?.routed.shard ?? null;
  }

  status(): RoutesStatus {
    const inputs = [...this.#running.values()].flatMap(({ plan, inputs: list }) =>
      list.map((input) => this.#inputStatus(shardName(plan, input), plan)),
    );
    return { brokers: this.#options.brokers.status(), inputs };
  }

  /** Whether every broker has said what it is, and every shard of ours has begun or failed to. */
  get settled(): boolean {
    const isWaiting = [...this.#shards.values()].some(({ routed: { state, shard } }) => {
      if (state.name === "starting") return true;
      const source = shard?.status().source.state;
      return source?.name === "idle" || (source?.name === "connecting" && source.error === "");
    });
    const { brokers } = this.#options;
    const isSilent = brokers.status().some(({ state }) => state.name === "connecting" && state.error === "");
    return !isWaiting && !isSilent;
  }

  /** Settles when every shard has stored its last checkpoint and the brokers are closed. */
  async stop(): Promise<void> {
    this.#closed = true;
    this.#look?.cancel();
    for (const { watch } of this.#running.values()) watch.close();
    this.#running.clear();
    for (const name of [...this.#shards.keys()]) this.#stop(name);
    await Promise.all(this.#stopping.values());
    await this.#options.brokers.close();
  }

  // --- inputs -------------------------------------------------------------------------------------------------------

  #watch(key: string, plan: RoutePlan, broker: Broker): void {
    const { patternOf } = this.#options;
    const running: { current: Running | null } = { current: null };
    let early: readonly BrokerInput[] = [];
    const watch = broker.watch(patternOf(plan), (inputs) => {
      if (running.current === null) {
        early = inputs;
        return;
      }
      running.current.inputs = inputs;
      this.#arrange();
    });
    running.current = { plan, watch, inputs: early };
    this.#running.set(key, running.current);
  }

  /** Makes the shards those that this node should have now. */
  #arrange(): void {
    if (this.#closed) return;
    const wanted = new Map<string, { readonly plan: RoutePlan; readonly input: BrokerInput }>();
    for (const { plan, inputs } of this.#running.values()) {
      for (const input of inputs) {
        const name = shardName(plan, input);
        if (this.#owner(name, plan) === this.#options.nodeId) wanted.set(name, { plan, input });
      }
    }
    for (const [name, { signature }] of this.#shards) {
      if (wanted.get(name)?.plan.signature !== signature) this.#stop(name);
    }
    for (const [name, { plan, input }] of wanted) {
      if (!this.#shards.has(name) && !this.#stopping.has(name)) this.#start(name, plan, input);
    }
  }

  #owner(name: string, plan: RoutePlan): string {
    return ownerOf(name, plan.peerId, this.#options.peers).owner;
  }

  /** Told once: the route runs all the same. */
  #tellOrphan({ route, prefix, peerId }: RoutePlan): void {
    const { peers, log } = this.#options;
    if (this.#orphansTold.has(route) || !ownerOf(prefix, peerId, peers).orphan) return;
    this.#orphansTold.add(route);
    const message = "no peer has the id that a route names: its shards are spread over the peers";
    log.warn(message, { route, peer: peerId, peers });
  }

  #start(name: string, plan: RoutePlan, input: BrokerInput): void {
    const { common, mapperOf, patternOf, clock, random, log } = this.#options;
    const mapper = () => mapperOf(plan, patternOf(plan));
    const provides = this.#provides.filter((kind) => kind !== null);
    const routed = new RoutedShard({ id: name, input, common, mapper, provides, clock, random, log });
    this.#shards.set(name, { routed, signature: plan.signature });
  }

  #stop(name: string): void {
    const held = this.#shards.get(name);
    if (held === undefined) return;
    this.#shards.delete(name);
    const stopped = held.routed.stop().then(() => {
      this.#stopping.delete(name);
      this.#arrange();
    });
    this.#stopping.set(name, stopped);
  }

  #inputStatus(name: string, plan: RoutePlan): RouteInputStatus {
    const owner = this.#owner(name, plan);
    const routed = this.#shards.get(name)?.routed;
    if (routed === undefined) {
      const state = owner === this.#options.nodeId ? "starting" : "elsewhere";
      return { shard: name, owner, state, reason: "", failures: 0 };
    }
    const { state, failures } = routed;
    return { shard: name, owner, state: state.name, reason: "reason" in state ? state.reason : "", failures };
  }

  #lookLater(): Timer {
    return this.#options.clock.after(LOOK_MS, () => {
      this.#options.brokers.look();
      this.#look = this.#lookLater();
    });
  }
}

function sourceOf(sources: ReadonlyMap<string, DataSourceSpec>, plan: RoutePlan): DataSourceSpec {
  const source = sources.get(plan.source);
  assert(source !== undefined, `route ${plan.route} names a data source that exists: parsing made sure of it`);
  return source;
}
