/**
 * A whole installation on this machine: Kafka, NATS, Redis, two nodes with all roles, a producer of markets and a verifying
 * client on each node.
 *
 * `await using world = await MarketWorld.start({..})` ends all of it. Invariant: whatever a client gets is compared with the
 * market itself (checks.ts); `tally.faults` are differences that nobody told.
 */
import { Admin } from "@platformatic/kafka";
import { ChildNode, hasBegun } from "../child-node.ts";
import { CuttingProxy } from "../cutting-proxy.ts";
import { NativeClient } from "../native-client.ts";
import {
  type KafkaServer,
  type NatsServer,
  type RedisServer,
  startKafka,
  startNats,
  startRedis,
} from "../services/mod.ts";
import { TempFolder } from "../temp-folder.ts";
import { waitFor } from "../wait.ts";
import { BookCheck, Tally, TradeCheck, Twin } from "./checks.ts";
import { channelOf, type MarketSymbols, marketDocument, TOPIC } from "./document.ts";
import { MarketProducer, seedOf } from "./producer.ts";

export interface WorldOptions {
  /** Half of them come by Kafka, half by NATS. */
  readonly symbols: number;
  /** Records per second. */
  readonly rate: number;
  readonly seed: number;
  /** The nodes reach the servers through proxies, in `weather`. */
  readonly proxied?: boolean;
  /** Called when the nodes' processes run and no server does; these are there again afterwards. */
  readonly absent?: (nodes: readonly ChildNode[]) => Promise<void>;
}

export interface Servers {
  readonly redis: RedisServer;
  readonly nats: NatsServer;
  readonly kafka: KafkaServer;
}

export type Proxies = Readonly<Record<keyof Servers, CuttingProxy>>;

const PARTITIONS = 4;
const NODES = ["a", "b"];
const LOOK_MS = 20;
/** How long it may take until all has arrived that was written. */
const SETTLE_MS_MAX = 60_000;

interface Watcher {
  readonly name: string;
  readonly symbol: string;
  readonly client: NativeClient;
  readonly trades: TradeCheck;
  readonly book: BookCheck;
}

export class MarketWorld implements AsyncDisposable {
  readonly servers: Servers;
  readonly proxies: Proxies | null;
  readonly nodes: readonly ChildNode[];
  readonly tally: Tally;
  readonly producer: MarketProducer;
  readonly #watchers: readonly Watcher[];
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: Pick<MarketWorld, "servers" | "proxies" | "nodes" | "tally" | "producer">,
    watchers: readonly Watcher[],
    stack: AsyncDisposableStack,
  ) {
    this.servers = parts.servers;
    this.proxies = parts.proxies;
    this.nodes = parts.nodes;
    this.tally = parts.tally;
    this.producer = parts.producer;
    this.#watchers = watchers;
    this.#stack = stack;
  }

  static async start(options: WorldOptions): Promise<MarketWorld> {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(new TempFolder());
    const [redis, nats, kafka] = await allOf([startRedis(), startNats(), startKafka()], stack);
    const servers = { redis, nats, kafka };
    const symbols = Array.from({ length: options.symbols }, (_, at) => `s${at}usdt`);
    const half = Math.ceil(symbols.length / 2);
    const markets = { kafkaSymbols: symbols.slice(0, half), natsSymbols: symbols.slice(half) };
    await makeTopic(kafka.url);
    const proxies = options.proxied ? await proxiesFor(servers, options.seed, stack) : null;
    const store = folder.write("market.json", JSON.stringify(marketDocument(markets)));
    const flags = nodeFlags(servers, proxies, store);
    const all = Object.values(servers);
    if (options.absent !== undefined) await Promise.all(all.map((server) => server.kill()));
    const nodes = NODES.map((name) => stack.use(new ChildNode(["serve", "--node-id", name, ...flags])));
    if (options.absent !== undefined) {
      await options.absent(nodes);
      await Promise.all(all.map((server) => server.restart()));
    }
    await Promise.all(nodes.map(hasBegun));
    const tally = new Tally();
    const twins = new Map(symbols.map((symbol) => [symbol, new Twin(symbol, seedOf(options.seed, symbol))]));
    const watchers: Watcher[] = [];
    for (const [at, node] of nodes.entries()) {
      const client = await NativeClient.connect(`${node.ws}/ws/quote/v1`);
      stack.defer(() => client.close());
      watchers.push(...(await watch(NODES[at]!, client, markets, twins, tally)));
    }
    const { rate, seed } = options;
    const places = { kafka: kafka.url, nats: nats.url, topic: TOPIC, partitions: PARTITIONS };
    const producer = stack.use(await MarketProducer.start({ ...markets, ...places, rate, seed }));
    return new MarketWorld({ servers, proxies, nodes, tally, producer }, watchers, stack.move());
  }

  /** Compares what has come since the last look. */
  look(): void {
    for (const { trades, book, client, name } of this.#watchers) {
      trades.look();
      book.look();
      if (client.closed !== null) this.tally.fault(`${name}: closed ${JSON.stringify(client.closed)}`);
    }
  }

  /** Looks again and again until the condition holds. */
  async until(condition: () => boolean, what: string | (() => string), ms?: number): Promise<void> {
    let atMs = 0;
    const looked = (): boolean => {
      if (performance.now() - atMs < LOOK_MS) return false;
      this.look();
      atMs = performance.now();
      return condition();
    };
    await waitFor(looked, what, ms);
  }

  /** Pauses the producer; settles when every client has the last trade and the last book of every symbol. */
  async settle(ms = SETTLE_MS_MAX): Promise<void> {
    await this.producer.pause();
    await this.until(
      () => this.#missing().length === 0,
      () => `everything arrives, but ${this.#missing().slice(0, 8).join("; ")}`,
      ms,
    );
    for (const { name, client } of this.#watchers) {
      for (const fault of client.faults) this.tally.fault(`${name}: ${fault}`);
      for (const { faults } of client.streams.values()) faults.length = 0;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  #missing(): string[] {
    return this.#watchers.flatMap(({ name, symbol, trades, book }) => {
      const market = this.producer.markets.get(symbol)!;
      if (trades.last < market.trades) return [`${name}: trade ${trades.last} of ${market.trades}`];
      if (book.isStale) return [`${name}: the book is stale`];
      return book.version < market.version ? [`${name}: book ${book.version} of ${market.version}`] : [];
    });
  }
}

async function proxiesFor(
  { redis, nats, kafka }: Servers,
  seed: number,
  stack: AsyncDisposableStack,
): Promise<Proxies> {
  const before = async ({ port }: { readonly port: number }): Promise<CuttingProxy> =>
    stack.use(await CuttingProxy.start({ port, seed }));
  return { redis: await before(redis), nats: await before(nats), kafka: await before(kafka) };
}

/** What both nodes are started with, their names apart. */
function nodeFlags({ redis, nats, kafka }: Servers, proxies: Proxies | null, store: string): string[] {
  const at = (server: { readonly port: number }, proxy: CuttingProxy | undefined): string =>
    `127.0.0.1:${(proxy ?? server).port}`;
  const kafkaAt = at(kafka, proxies?.kafka);
  // Kafka names itself to its clients; they are to come by the proxy all the same.
  const addresses = [`kafka:9092=${kafkaAt}`, `nats:4222=${at(nats, proxies?.nats)}`];
  if (proxies !== null) addresses.push(`${kafka.url}=${kafkaAt}`);
  return [
    ...["--port", "0", "--admin-port", "0", "--workers", "1", "--ring-bytes", "16MiB", "--drain-seconds", "0"],
    ...["--log-format", "json", "--cluster", "market", "--peers", NODES.join(",")],
    ...["--bus", "nats", "--bus-servers", `nats://${at(nats, proxies?.nats)}`],
    ...["--checkpoints", `redis://${at(redis, proxies?.redis)}`],
    ...["--config-store", `file:${store}`, "--addresses", addresses.join(",")],
  ];
}

async function makeTopic(server: string): Promise<void> {
  const admin = new Admin({ clientId: "market", bootstrapBrokers: [server], retries: 20, retryDelay: 100 });
  await admin.createTopics({ topics: [TOPIC], partitions: PARTITIONS, replicas: 1 });
  await admin.close();
}

async function watch(
  node: string,
  client: NativeClient,
  markets: MarketSymbols,
  twins: ReadonlyMap<string, Twin>,
  tally: Tally,
): Promise<Watcher[]> {
  const symbols = [...markets.kafkaSymbols, ...markets.natsSymbols];
  const name = (symbol: string, kind: string): string => `${channelOf(markets, symbol)}@${kind}`;
  const channels = symbols.flatMap((symbol) => [name(symbol, "trade"), name(symbol, "depth")]);
  const reply = await client.subscribe(channels);
  if (!reply.ok) throw new Error(`node ${node} refuses: ${JSON.stringify(reply).slice(0, 500)}`);
  return symbols.map((symbol) => {
    const title = `${node} ${channelOf(markets, symbol)}`;
    return {
      name: title,
      symbol,
      client,
      trades: new TradeCheck(title, client.stream(name(symbol, "trade")), tally),
      book: new BookCheck(title, client.stream(name(symbol, "depth")), twins.get(symbol)!, tally),
    };
  });
}

/** All or none: of several that start at once, those that did are ended when one did not. */
async function allOf<const Starting extends readonly Promise<AsyncDisposable>[]>(
  starting: Starting,
  stack: AsyncDisposableStack,
): Promise<{ -readonly [Key in keyof Starting]: Awaited<Starting[Key]> }> {
  const outcomes = await Promise.allSettled(starting);
  for (const outcome of outcomes) if (outcome.status === "fulfilled") stack.use(outcome.value);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  return (await Promise.all(starting)) as { -readonly [Key in keyof Starting]: Awaited<Starting[Key]> };
}
