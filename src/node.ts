/**
 * The node: one process of the gateway. This file is the composition root, the one place that picks implementations.
 *
 *     source -> shard (pipeline) -> bus -> follower -> engine -> ring -> edge workers -> clients
 *
 * Started from the sources on, so that the first client finds books and candles; stopped in the same order, so that the
 * last publications still reach the clients.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import pkg from "../package.json" with { type: "json" };
import { type AdminServer, type DrainDoor, type LoopLag, startAdmin, watchLoopLag } from "./admin/mod.ts";
import type { Bus } from "./bus/bus.ts";
import type { Follower } from "./bus/follower.ts";
import { InstrumentRegistry } from "./channel/registry.ts";
import { TopicSettings } from "./channel/topic-settings.ts";
import type { StaticConfig } from "./config/static.ts";
import { DEFAULT_EDGE_CONFIG, type Edge, Renewal, startEdge, type TlsPair } from "./edge/mod.ts";
import { Engine } from "./engine/engine.ts";
import { historyLimitsOf } from "./engine/history-limits.ts";
import type { CheckpointStore } from "./ingest/checkpoint.ts";
import { ChannelOwners } from "./ingest/owners.ts";
import { Shard } from "./ingest/shard.ts";
import { inputsOf, knowInputs } from "./inputs.ts";
import { type Clock, systemClock } from "./lib/clock.ts";
import { createLog, type Log } from "./lib/log.ts";
import { makeBus, natsBusOf } from "./node-bus.ts";
import { makeCheckpoints } from "./node-checkpoints.ts";
import { NodeDrain } from "./node-drain.ts";
import { follow } from "./node-following.ts";
import { makeRest } from "./node-rest.ts";
import { nodeView } from "./node-view.ts";
import { binanceEncoder } from "./protocol/binance/mod.ts";
import { nativeEncoder } from "./protocol/native/mod.ts";
import { RestDesk } from "./rest-desk.ts";
import { createRing, createRingWriter } from "./ring/mod.ts";
import { type BrokerFactories, Fanout, type Routes } from "./routes/mod.ts";

export interface Node {
  /** `http://127.0.0.1:8080`, also for ws://; with TLS https. Null: this node has no edge. */
  readonly publicUrl: string | null;
  /** Null: this node has no admin role. */
  readonly adminUrl: string | null;
  /** Takes no more sessions, closes those there are within about `ms`, then stops. `cause` is for the log. */
  drain(ms: number, cause: string): Promise<void>;
  /** Reads the certificate's files now. */
  reload(): Promise<void>;
  /** At once: every session is closed 1001. */
  stop(): Promise<void>;
  /** Settles when the node has stopped. */
  readonly done: Promise<void>;
  /** The parts, for tests that look inside or break something on purpose. */
  readonly parts: Parts;
}

export interface Parts {
  readonly clock: Clock;
  readonly bus: Bus;
  readonly follower: Follower;
  readonly engine: Engine;
  /** Those of now. */
  readonly shards: readonly Shard[];
  /** Null: without a dynamic configuration, or without the role ingest. */
  readonly routes: Routes | null;
  readonly edge: Edge | null;
  readonly registry: InstrumentRegistry;
}

/** A node whose sources do not connect serves all the same, and says so in /readyz. */
const FIRST_CONNECTION_MS_MAX = 10_000;

/** A bus that is away is waited for only so long, as are other nodes' instruments. */
const FIRST_HEADS_MS_MAX = 3000;

/** A broker that is away is waited for only so long. */
const FIRST_ROUTES_MS_MAX = 3000;

export interface NodeDeps {
  readonly log?: Log;
  /** Of another node in the same process: this one follows what that one publishes. */
  readonly world?: Pick<Parts, "bus" | "registry">;
  /** A bus made elsewhere: it is closed with the node. */
  readonly bus?: Bus;
  readonly checkpoints?: CheckpointStore;
  /** In the place of those of their type. */
  readonly brokers?: BrokerFactories;
}

export async function startNode(config: StaticConfig, deps: NodeDeps = {}): Promise<Node> {
  const log = deps.log ?? createLog(config.log);
  const clock = systemClock();
  const has = (role: StaticConfig["roles"][number]): boolean => config.roles.includes(role);
  const registry = deps.world?.registry ?? new InstrumentRegistry(config.defaultMarket);
  // Only where it is used: it brings the parser of configurations and the brokers' clients.
  const routing = config.configStore === undefined ? null : await import("./node-routes.ts");
  const dynamic = await routing?.openDynamic(config, registry, clock, log);
  const inputs = has("ingest") && dynamic === undefined ? inputsOf(config, registry, clock, log) : [];
  if (!has("ingest") && dynamic === undefined && deps.world === undefined) knowInputs(config, registry);

  const fanout = dynamic?.fanout ?? new Fanout([], config.defaultMarket);
  const bus = deps.world?.bus ?? deps.bus ?? (await makeBus(config, fanout, clock, log));
  const topicOf = (channel: string, user: string) => fanout.topicOf(channel, user);
  let routes: Routes | null = null;
  const shardOf = (name: string) => routes?.shard(name) ?? shards.find(({ id }) => id === name) ?? null;
  const following = follow({
    ...{ bus, clock, topicOf, registry, shardOf, log },
    shards: () => allShards(),
    isConfigured: (market, symbol) => dynamic?.isConfigured(market, symbol) === true,
  });
  const { follower } = following;
  const workers = has("edge") ? config.workers : 0;
  const ringMemory = createRing(config.ringBytes, Math.max(1, workers));
  const ring = createRingWriter(ringMemory);
  const encoders = { native: nativeEncoder, binance: binanceEncoder };
  const topics = new TopicSettings(
    dynamic?.topicsOver(config.topics) ?? config.topics,
    config.defaultMarket,
    (market, symbol) => registry.find(market, symbol) !== null,
  );
  const engine = new Engine({
    ring,
    clock,
    catalog: registry,
    instruments: registry,
    follower,
    encoders,
    paceOf: ({ name }) => topics.of(name).pace,
    historyOf: ({ name }) => historyLimitsOf(topics.of(name)),
  });
  const isOwn = (shard: string, token: number) => deps.world !== undefined || shardOf(shard)?.speaks(token) === true;
  const { rest: binanceRest, heads } = makeRest({ bus, engine, follower, registry, isOwn, clock, log });
  const rest = new RestDesk(binanceRest, (worker, answers) => edge?.post(worker, { is: "rest", answers }));

  const checkpoints = deps.checkpoints ?? (await makeCheckpoints(config, clock, log));
  const common = {
    bus,
    catalog: registry,
    owners: new ChannelOwners(),
    checkpoints,
    clock,
    topicOf,
    randomId: () => randomBytes(4).toString("hex"),
    historyOf: (channel: string) => historyLimitsOf(topics.of(channel)),
    pause: () => natsBusOf(bus)?.busy() ?? null,
  };
  const shards = inputs.map((input) => new Shard({ ...common, ...input, log }));
  const allShards = (): readonly Shard[] => [...shards, ...(routes?.shards() ?? [])];

  let edge: Edge | null = null;
  let admin: AdminServer | null = null;
  let lag: LoopLag | null = null;
  let renewal: Renewal | null = null;
  const stop = async (): Promise<void> => {
    renewal?.stop();
    dynamic?.stop();
    await Promise.all([...shards.map((shard) => shard.stop()), routes?.stop()]);
    if (deps.checkpoints === undefined) await checkpoints.close?.();
    await edge?.stop();
    lag?.stop();
    engine.close();
    following.close();
    if (deps.world === undefined) await bus.close();
    await admin?.stop();
  };
  const done = Promise.withResolvers<void>();
  let stopping: Promise<void> | null = null;
  const stopOnce = (): Promise<void> => {
    stopping ??= stop().then(done.resolve);
    return stopping;
  };
  let drain: NodeDrain;

  try {
    if (config.tls !== undefined && workers > 0) {
      const renewed = (pair: TlsPair) => edge?.renew(pair, config.drainSeconds * 1000);
      const read = (path: string) => readFile(path, "utf8");
      renewal = await Renewal.start({ files: config.tls, read, clock, log, renewed });
    }
    // A checkpoint store that is away is waited for no longer than a source is.
    let refusal: unknown = null;
    for (const shard of shards) {
      shard.start().catch((error: unknown) => {
        refusal ??= error;
        log.error("a shard does not start", { shard: shard.id, error });
      });
    }
    await until(() => refusal !== null || !shards.some(isPending), FIRST_CONNECTION_MS_MAX, clock);
    if (refusal !== null) throw refusal;
    if (routing !== null && dynamic !== undefined && has("ingest")) {
      const { brokers = {} } = deps;
      const given = { config, dynamic, registry, common, brokers, clock, random: Math.random, log };
      const begun = await routing.startRoutes(given);
      routes = begun;
      // Also without a shard this node has its say: a known channel is then subscribed, and not refused as unanswered.
      bus.serve(`node ${config.nodeId}`, () => null);
      await until(() => begun.settled, FIRST_ROUTES_MS_MAX, clock);
    }
    // Clients that come back to a node just started find the channels that other nodes have learned.
    if (natsBusOf(bus) !== null) await until(following.settled, FIRST_HEADS_MS_MAX, clock);
    if (workers > 0) {
      const { host, port, sharePort } = config;
      const tls = renewal?.pair ?? null;
      const { defaultMarket } = config;
      const limits = dynamic?.config.limits ?? config.limits;
      const topics = dynamic?.topicsOver(config.topics) ?? config.topics;
      const edgeConfig = { ...DEFAULT_EDGE_CONFIG, host, port, sharePort, tls, limits, topics, defaultMarket };
      edge = await startEdge({
        config: edgeConfig,
        ring: ringMemory,
        readers: ring,
        workers,
        clock,
        log,
        silentMsMax: config.watchdogMs,
        onWorkerGone: (worker) => engine.workerGone(worker),
        onMessage(worker, message) {
          if (message.is !== "rest") return engine.handle(worker, message);
          rest.handle(worker, message.requests);
        },
      });
      // The files may have changed while the workers started.
      if (renewal !== null && renewal.pair !== tls) edge.renew(renewal.pair, config.drainSeconds * 1000);
    }
    dynamic?.watch(() => {
      const { limits } = dynamic.config;
      const specs = dynamic.topicsOver(config.topics);
      topics.replace(specs);
      edge?.change({ limits, topics: specs });
      routes?.apply(dynamic.config);
    });
    lag = watchLoopLag(clock);
    drain = new NodeDrain({ edge, clock, log, stop: stopOnce });
    if (has("admin")) {
      const view = nodeView({
        ...{ config, version: pkg.version, shards: allShards, routes: () => routes, dynamic: dynamic ?? null },
        ...{ engine, follower, bus, heads, edge, lag, drain, renewal },
      });
      admin = startAdmin(config.admin, view, drainDoor(drain, config), log);
    }
  } catch (error) {
    await stop();
    throw error;
  }

  const begun = drain;
  return {
    publicUrl:
      edge === null ? null : `${config.tls === undefined ? "http" : "https"}://${hostText(config.host)}:${edge.port}`,
    adminUrl: admin?.url ?? null,
    done: done.promise,
    drain: (ms, cause) => begun.begin(ms, cause),
    async reload() {
      if (renewal === null && dynamic === undefined) log.info("nothing to reload: no certificate and no configuration");
      await Promise.all([renewal?.reload(), dynamic?.reload()]);
    },
    stop: stopOnce,
    parts: {
      ...{ clock, bus, follower, engine, edge, registry, routes },
      get shards() {
        return allShards();
      },
    },
  };
}

/** Its source has not made its first connection yet (the simulated exchange: its history). */
const isPending = (shard: Shard): boolean => ["idle", "connecting"].includes(shard.status().source.state.name);

/** Waits until it holds, or so long. */
async function until(holds: () => boolean, ms: number, clock: Clock): Promise<void> {
  const endMs = clock.monotonicMs() + ms;
  while (!holds() && clock.monotonicMs() < endMs) {
    await new Promise<void>((resolve) => clock.after(10, resolve));
  }
}

/** What the admin server may do. */
const drainDoor = (drain: NodeDrain, { drainSeconds }: StaticConfig): DrainDoor => ({
  drain(seconds) {
    void drain.begin((seconds ?? drainSeconds) * 1000, "POST /api/drain");
    return drain.state ?? { sessions: 0, leftMs: 0 };
  },
});

const hostText = (host: string): string => (host.includes(":") ? `[${host}]` : host);
