/** Two nodes on one bus inside the process: a client of either sees the same, and REST is never behind the other's stream. */
import { expect, test } from "bun:test";
import { type Delivery, NOW } from "../../src/bus/faults.ts";
import { createMemoryHub } from "../../src/bus/memory.ts";
import { MemoryCheckpoints } from "../../src/ingest/checkpoint.ts";
import { createMemoryBroker, MemoryServer } from "../../src/routes/testing/memory-broker.ts";
import { bookOf, MARKET, startRoutedNode, tradeOf } from "../lib/routed-node.ts";
import type { Flags, TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

/** What two nodes share: the broker, the bus (with what it does to deliveries), the checkpoints. */
class Cluster {
  readonly server = new MemoryServer();
  readonly checkpoints = new MemoryCheckpoints();
  fate: (delivery: Delivery) => readonly number[] = () => NOW;
  readonly #hub = createMemoryHub({ throughBytes: true, faults: { fate: (delivery) => this.fate(delivery) } });

  node(nodeId: string, flags: Flags = {}, document: unknown = MARKET): Promise<TestNode> {
    const deps = {
      bus: this.#hub.attach(nodeId),
      checkpoints: this.checkpoints,
      brokers: { kafka: createMemoryBroker(this.server) },
    };
    return startRoutedNode(document, { nodeId, ...flags }, deps);
  }
}

const namesOf = (node: TestNode): string[] => node.node.parts.shards.map(({ id }) => id).sort();
const known = (node: TestNode, symbol: string) => node.node.parts.registry.find("spot", symbol);
const ids = (stream: { readonly items: readonly { readonly id?: unknown }[] }) => stream.items.map(({ id }) => id);

test(
  "two nodes - the shards are shared out, and a client of either sees every channel with the same numbers",
  async () => {
    const cluster = new Cluster();
    cluster.server.topic("trades", 6);
    cluster.server.topic("books", 2);
    await using a = await cluster.node("a", { peers: "a,b" });
    await using b = await cluster.node("b", { peers: "a,b" });
    expect([...namesOf(a), ...namesOf(b)].sort()).toEqual(
      [..."012345"]
        .map((n) => `r1/k/trades/${n}`)
        .concat(["r1/k/books/0", "r1/k/books/1"])
        .sort(),
    );
    expect(namesOf(a).length).toBeGreaterThan(0);
    expect(namesOf(b).length).toBeGreaterThan(0);
    const symbols = [..."012345"].map((n) => `C${n}/USDT`);
    for (const [partition, symbol] of symbols.entries()) {
      cluster.server.produce("trades", tradeOf(symbol, 1), partition);
      cluster.server.produce("books", bookOf(symbol, "snapshot", 1, { bids: [["99", "1"]], asks: [] }), partition % 2);
    }
    const lower = symbols.map((symbol) => symbol.toLowerCase().replace("/", ""));
    await waitFor(
      () => [a, b].every((node) => lower.every((symbol) => known(node, symbol))),
      "all instruments everywhere",
    );
    const channels = lower.flatMap((symbol) => [`${symbol}@trade`, `${symbol}@depth`]);
    const clients = await Promise.all([a.native(), b.native()]);
    for (const client of clients) expect((await client.subscribe(channels)).errors).toBeUndefined();
    for (let id = 2; id <= 20; id++) {
      for (const [partition, symbol] of symbols.entries()) {
        cluster.server.produce("trades", tradeOf(symbol, id), partition);
        const sides = { bids: [["99", String(id)]], asks: [[String(100 + id), "1"]] } as const;
        cluster.server.produce("books", bookOf(symbol, "delta", id, sides), partition % 2);
      }
    }
    const [one, other] = clients;
    if (one === undefined || other === undefined) throw new Error("two clients");
    for (const channel of lower.map((symbol) => `${symbol}@trade`)) {
      await waitFor(
        () => clients.every((client) => client.stream(channel).items.length === 19),
        `19 trades on ${channel}`,
      );
      expect(ids(one.stream(channel))).toEqual(ids(other.stream(channel)));
    }
    for (const channel of channels) {
      await waitFor(() => one.stream(channel).have === other.stream(channel).have, `the same seq of ${channel}`);
      expect(one.stream(channel).epoch).toBe(other.stream(channel).epoch);
    }
    for (const channel of lower.map((symbol) => `${symbol}@depth`)) {
      expect(one.stream(channel).book.depth()).toEqual(other.stream(channel).book.depth());
      expect(one.stream(channel).book.depth().asks).toHaveLength(19);
    }
    expect([...one.faults, ...other.faults]).toEqual([]);
  },
  TEST_MS_MAX,
);

test(
  "two nodes - a node without shards knows what the owner learned: instruments, their steps, and that one halts",
  async () => {
    const cluster = new Cluster();
    cluster.server.topic("trades");
    cluster.server.topic("books");
    await using owner = await cluster.node("a", { peers: "a" });
    await using edge = await cluster.node("e", { peers: "a", roles: "edge,admin" });
    expect(namesOf(edge)).toEqual([]);
    const client = await edge.native();
    expect((await client.subscribe(["ethbtc@trade", "instrument"])).errors).toMatchObject([
      { channel: "ethbtc@trade" },
    ]);
    cluster.server.produce("trades", tradeOf("ETH/BTC", 1));
    await waitFor(() => known(edge, "ethbtc")?.lot === "0.01", "the instrument with the lot that was seen");
    const { symbol: _, ...told } = known(owner, "ethbtc") ?? { symbol: "" };
    expect(known(edge, "ethbtc")).toMatchObject(told);
    const exchangeInfo = async () =>
      (await (await fetch(`${edge.http}/api/v3/exchangeInfo`)).json()) as { symbols: unknown };
    expect((await exchangeInfo()).symbols).toMatchObject([{ symbol: "ETHBTC", status: "TRADING", baseAsset: "ETH" }]);
    expect((await client.subscribe(["ethbtc@trade"])).errors).toBeUndefined();
    cluster.server.produce("trades", tradeOf("ETH/BTC", 2));
    await waitFor(() => client.stream("ethbtc@trade").items.length > 0, "its trades");

    owner.node.parts.registry.update("spot", "ethbtc", { status: "halt" });
    const changes = () => client.stream("instrument").pushes.flatMap(({ data }) => data as { status: string }[]);
    await waitFor(() => changes().some(({ status }) => status === "halt"), "the halt on the channel instrument");
    expect((await exchangeInfo()).symbols).toMatchObject([{ symbol: "ETHBTC", status: "HALT" }]);
  },
  TEST_MS_MAX,
);

test(
  "two nodes - REST on one is never behind the stream of the other, and says 503 while the owner does not answer",
  async () => {
    const cluster = new Cluster();
    cluster.server.topic("trades");
    cluster.server.topic("books");
    cluster.server.produce("books", bookOf("BTCUSDT", "snapshot", 0, { bids: [["99", "1"]], asks: [["101", "1"]] }));
    await using owner = await cluster.node("a", { peers: "a" });
    await using edge = await cluster.node("e", { peers: "a", roles: "edge,admin" });
    // The other node gets its publications late.
    cluster.fate = ({ node, what }) => (node === "e" && what === "publication" ? [60] : NOW);
    const client = await owner.native();
    await waitFor(() => known(edge, "btcusdt") !== null && known(owner, "btcusdt") !== null, "the instrument");
    await client.subscribe(["btcusdt@depth"], { cadence: 0 });
    const depth = () => fetch(`${edge.http}/api/v3/depth?symbol=BTCUSDT`);
    await waitFor(async () => (await depth()).status === 200, "a book on the other node");
    for (let id = 1; id <= 10; id++) {
      const before = client.stream("btcusdt@depth").have ?? 0;
      cluster.server.produce("books", bookOf("BTCUSDT", "delta", id, { bids: [["99", String(id)]], asks: [] }));
      await waitFor(() => (client.stream("btcusdt@depth").have ?? 0) > before, "the change on the owner's stream");
      const seen = client.stream("btcusdt@depth").have ?? 0;
      const [one, other] = await Promise.all([depth(), depth()]);
      for (const answer of [one, other]) {
        // On a machine that is busy with other things it may take longer than it may: never is the answer an old book.
        if (answer.status === 503) continue;
        const body = (await answer.json()) as { lastUpdateId: number; bids: unknown };
        expect(body.lastUpdateId).toBeGreaterThanOrEqual(seen);
        expect(body.bids).toEqual([["99", String(id)]]);
      }
    }
    expect(await edge.metric("tidegate_rest_heads_total", 'result="asked"')).toBeGreaterThan(0);
    expect(await owner.metric("tidegate_rest_heads_total", 'result="asked"')).toBe(0);

    // A publication that is lost is found by what the owner says.
    cluster.fate = ({ node, what }) => (node === "e" && what === "publication" ? [] : NOW);
    cluster.server.produce("books", bookOf("BTCUSDT", "delta", 11, { bids: [["99", "77"]], asks: [] }));
    const bids = async () => ((await (await depth()).json()) as { bids?: unknown }).bids;
    await waitFor(async () => Bun.deepEquals(await bids(), [["99", "77"]]), "the book is healed");
    for (const shard of owner.node.parts.shards) await shard.stop();
    const away = await depth();
    expect([away.status, await away.json()]).toMatchObject([503, { code: -1001 }]);
  },
  TEST_MS_MAX,
);

test(
  "two nodes - the owner stops and comes back: the same numbering, nothing lost or doubled for clients of the other",
  async () => {
    const cluster = new Cluster();
    cluster.server.topic("trades");
    cluster.server.topic("books");
    cluster.server.produce("trades", tradeOf("BTCUSDT", 1));
    const owner = await cluster.node("a", { peers: "a", roles: "ingest" });
    await using edge = await cluster.node("e", { peers: "a", roles: "edge,admin" });
    await waitFor(() => known(edge, "btcusdt") !== null, "the instrument");
    const client = await edge.native();
    await client.subscribe(["btcusdt@trade"]);
    cluster.server.produce("trades", tradeOf("BTCUSDT", 2));
    await waitFor(() => client.stream("btcusdt@trade").items.length === 1, "a trade");
    const { epoch } = client.stream("btcusdt@trade");
    const price = async () => {
      const answer = await fetch(`${edge.http}/api/v3/ticker/price?symbol=BTCUSDT`);
      return { status: answer.status, ...((await answer.json()) as { price?: string; code?: number }) };
    };
    expect(await price()).toMatchObject({ status: 200, price: expect.stringMatching(/[1-9]/) });
    await owner[Symbol.asyncDispose]();
    // Its owner is away: there is no price now, which is not a price of zero.
    await waitFor(async () => (await price()).status === 503, "REST says that it cannot be had");
    expect(await price()).toMatchObject({ status: 503, code: -1001 });
    for (let id = 3; id <= 9; id++) cluster.server.produce("trades", tradeOf("BTCUSDT", id));
    await using again = await cluster.node("a", { peers: "a", roles: "ingest" });
    await waitFor(() => client.stream("btcusdt@trade").items.length === 8, "all trades");
    expect(ids(client.stream("btcusdt@trade"))).toEqual(["2", "3", "4", "5", "6", "7", "8", "9"]);
    expect(client.stream("btcusdt@trade").epoch).toBe(epoch);
    expect(client.stream("btcusdt@trade").notices.filter(({ type }) => type === "gap")).toEqual([]);
    expect(client.faults).toEqual([]);
    expect(cluster.server.committed.get("trades/0")).toBeGreaterThanOrEqual(1);
    expect(again.node.publicUrl).toBeNull();
  },
  TEST_MS_MAX,
);

test(
  "two nodes - both believe they own a shard: the newer one goes on, the older one stops and says so",
  async () => {
    const cluster = new Cluster();
    cluster.server.topic("trades");
    cluster.server.topic("books");
    cluster.server.produce("trades", tradeOf("BTCUSDT", 1));
    // Neither has been told of the other.
    await using first = await cluster.node("a");
    const client = await first.native();
    await client.subscribe(["btcusdt@trade"]);
    await using second = await cluster.node("b");
    const states = (node: TestNode) => node.node.parts.routes?.status().inputs.map(({ state }) => state);
    await waitFor(
      () => Bun.deepEquals(states(first), ["lost", "lost"]),
      () => `the first stops: ${states(first)}`,
    );
    expect(states(second)).toEqual(["running", "running"]);
    cluster.server.produce("trades", tradeOf("BTCUSDT", 2));
    await waitFor(
      () => client.stream("btcusdt@trade").items.at(-1)?.id === "2",
      "the second's trade on the first's client",
    );
    expect(ids(client.stream("btcusdt@trade")).filter((id) => id === "2")).toHaveLength(1);
    expect(client.faults).toEqual([]);
    expect((await first.readiness()).parts.routes).toMatchObject({ state: "degraded" });
    expect((await first.readiness()).parts.routes?.reason).toContain("a newer owner has taken it");
    expect(await first.metric("tidegate_route_shards", 'state="lost"')).toBe(2);
  },
  TEST_MS_MAX,
);
