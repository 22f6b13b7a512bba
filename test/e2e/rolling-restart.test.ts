/** One node drains while another listens on the same port: who is closed here goes on there, with nothing lost or doubled. */
import { expect, test } from "bun:test";
import { loadStaticConfig } from "../../src/config/load.ts";
import { silentLog } from "../../src/lib/log.ts";
import { startNode } from "../../src/node.ts";
import { ONE_CHANNEL, startChildNode } from "../lib/child-node.ts";
import { NativeClient, type SubscribeReply } from "../lib/native-client.ts";
import { brokenLinks, type NativeStream } from "../lib/native-stream.ts";
import { startTestNode, TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

const CHANNELS = ["btcusdt@depth", "btcusdt@trade", "ethusdt@bookTicker"];

/** A client that connects again whenever it is closed, and goes on where it stopped. */
class Returning {
  client: NativeClient | null = null;
  readonly closes: number[] = [];
  readonly replies: SubscribeReply[] = [];
  streams = new Map<string, NativeStream>();
  readonly #url: string;
  readonly #channels: readonly string[];
  #ended = false;
  readonly done: Promise<void>;

  constructor(url: string, channels: readonly string[]) {
    this.#url = url;
    this.#channels = channels;
    this.done = this.#run();
  }

  get faults(): string[] {
    return this.client?.faults ?? [];
  }

  stream(channel: string): NativeStream {
    const stream = this.streams.get(channel);
    if (stream === undefined) throw new Error(`not subscribed to ${channel}`);
    return stream;
  }

  async end(): Promise<void> {
    this.#ended = true;
    this.client?.close();
    await this.done;
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      const client = await NativeClient.connect(this.#url).catch((error: Error) => error);
      // Refused by the one that stops, or reset while it closed its socket: tried again.
      if (client instanceof Error) continue;
      for (const [channel, stream] of this.streams) client.streams.set(channel, stream);
      this.client = client;
      await this.#follow(client);
      if (client.closed !== null && !this.#ended) this.closes.push(client.closed.code);
    }
  }

  async #follow(client: NativeClient): Promise<void> {
    const positions = [...this.streams].flatMap(([channel, { epoch, have }]) =>
      epoch === null || have === null ? [] : [[channel, { epoch, seq: have }] as const],
    );
    const since = positions.length === 0 ? {} : { since: Object.fromEntries(positions) };
    try {
      this.replies.push(await client.subscribe(this.#channels, since));
      this.streams = client.streams;
      await waitFor(() => client.closed !== null || this.#ended, "the end of a session", 3_600_000);
    } catch (error) {
      // Closed before the reply: it begins again from where it stood.
      if (client.closed === null) throw error;
    }
  }
}

const numbers = (stream: NativeStream): unknown[] => stream.items.map(({ id }) => id);

test(
  "rolling restart - nodes of one bus: every trade once, the book exact, on the node that stays",
  async () => {
    // The third node has the sources, and a client that was never moved.
    await using source = await startTestNode({ simRate: "500" });
    const flags = { port: "0", adminPort: "0", workers: "1", ringBytes: "16MiB", roles: "edge", sharePort: true };
    const edge = async (port: number): Promise<TestNode> => {
      const { config } = loadStaticConfig({ ...flags, port: String(port), nodeId: "e" }, {});
      return new TestNode(await startNode(config, { log: silentLog, world: source.node.parts }));
    };
    await using leaving = await edge(0);
    await using staying = await edge(leaving.port);
    const never = await source.native();
    await never.subscribe(CHANNELS);
    const clients = Array.from({ length: 30 }, () => new Returning(`${leaving.ws}/ws/quote/v1`, CHANNELS));
    const isUp = ({ streams }: Returning): boolean => CHANNELS.every((channel) => streams.get(channel)?.have != null);
    await waitFor(() => clients.every(isUp), "everybody is subscribed");
    await waitFor(() => leaving.sessions + staying.sessions === clients.length, "all sessions are counted");
    const moving = leaving.sessions;
    expect(moving).toBeGreaterThan(0);
    expect(moving).toBeLessThan(clients.length);

    await leaving.node.drain(1500, "test");
    await waitFor(() => staying.sessions === clients.length, "everybody is on the node that stays");
    expect(clients.filter(({ closes }) => closes.length > 0)).toHaveLength(moving);
    for (const { closes } of clients) expect(closes.filter((code) => code !== 1012)).toEqual([]);

    // Until all stand where the one that was never moved stands, and nothing more comes.
    for (const shard of source.node.parts.shards) await shard.stop();
    const level = (client: Returning): boolean =>
      CHANNELS.every((channel) => client.streams.get(channel)?.have === never.stream(channel).have);
    await waitFor(() => clients.every(level), "everybody has gone on to the same place");
    for (const client of clients) {
      expect(client.faults).toEqual([]);
      for (const { channels } of client.replies.slice(1)) {
        for (const channel of CHANNELS) expect([channel, channels[channel]?.recovered]).toEqual([channel, true]);
      }
      expect(client.stream("btcusdt@trade").notices).toEqual([]);
      const mine = numbers(client.stream("btcusdt@trade"));
      const truth = numbers(never.stream("btcusdt@trade"));
      const from = truth.indexOf(mine[0]);
      expect(from).toBeGreaterThanOrEqual(0);
      expect(mine).toEqual(truth.slice(from));
      expect(client.stream("btcusdt@depth").book.depth()).toEqual(never.stream("btcusdt@depth").book.depth());
      expect(client.stream("ethusdt@bookTicker").value).toEqual(never.stream("ethusdt@bookTicker").value);
    }
    for (const client of clients) await client.end();
  },
  TEST_MS_MAX,
);

test(
  "rolling restart - processes on one port: all go over, and what they missed they are told",
  async () => {
    const flags = ["--share-port", "--drain-seconds", "1", ...ONE_CHANNEL];
    await using leaving = await startChildNode(flags);
    const clients = Array.from({ length: 20 }, () => new Returning(`${leaving.ws}/ws/quote/v1`, ["c0"]));
    await waitFor(() => clients.every(({ streams }) => streams.size > 0), "everybody is subscribed");
    await using staying = await startChildNode([...flags, "--port", String(leaving.port)]);
    leaving.signal("SIGTERM");
    expect(await leaving.status()).toBe(0);
    expect(leaving.log.find(({ msg }) => msg === "drained")).toMatchObject({ closed: 20, leftByThemselves: 0 });
    const sessions = async () => await (await fetch(`${staying.admin}/metrics`)).text();
    await waitFor(async () => /^tidegate_sessions 20$/m.test(await sessions()), "20 sessions on the other node");
    await waitFor(() => clients.every(({ replies }) => replies.length === 2), "everybody is subscribed again");
    // Each source is a world of its own, so a position of the one is nothing to the other, and it says so.
    for (const client of clients) {
      const [before, after] = client.replies.map(({ channels }) => channels.c0);
      expect(after?.epoch).not.toBe(before?.epoch);
      expect(after?.recovered).toBe(false);
      const { pushes } = client.stream("c0");
      await waitFor(() => pushes.some(({ epoch }) => epoch === after?.epoch), "a push that names the new numbering");
      const first = pushes.findIndex(({ epoch }) => epoch === after?.epoch);
      expect(brokenLinks(pushes.slice(0, first))).toEqual([]);
      expect(brokenLinks(pushes.slice(first))).toEqual([]);
      expect(client.closes).toEqual([1012]);
      await client.end();
    }
  },
  TEST_MS_MAX,
);
