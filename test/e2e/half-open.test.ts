/**
 * Clients that vanish without a word: a proxy stops passing anything, both ways, and answers nothing. The node finds them,
 * frees what they had, and ends their sockets, also those that it has closed itself and whose clients never answer.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { canCountSockets, heldSockets } from "../lib/held-sockets.ts";
import { NativeClient } from "../lib/native-client.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

/** A node with a proxy before it, and a client that follows c0 through that. */
class Place implements AsyncDisposable {
  readonly node: TestNode;
  readonly proxy: CuttingProxy;
  readonly client: NativeClient;
  readonly #folder: TempFolder;

  private constructor(folder: TempFolder, node: TestNode, proxy: CuttingProxy, client: NativeClient) {
    this.#folder = folder;
    this.node = node;
    this.proxy = proxy;
    this.client = client;
  }

  static async start(limits: Readonly<Record<string, unknown>>, size = 200, rate = 20): Promise<Place> {
    const folder = new TempFolder();
    const source = { kind: "synthetic", shape: `channels=1,rate=${rate},size=${size}` };
    const node = await startTestNode({ config: folder.write("c.json", JSON.stringify({ source, limits })) });
    const proxy = await CuttingProxy.start({ port: node.port, seed: 1 });
    const client = await NativeClient.connect(`ws://127.0.0.1:${proxy.port}/ws/quote/v1`);
    await client.subscribe(["c0"]);
    await waitFor(() => client.stream("c0").pushes.length > 2, "the client gets pushes");
    return new Place(folder, node, proxy, client);
  }

  async closed(code: number): Promise<void> {
    await waitFor(async () => (await this.closes(code)) === 1, `it is closed ${code}`);
  }

  closes(code: number): Promise<number> {
    return this.node.metric("tidegate_closes_total", `code="${code}"`);
  }

  async nobodyIsLeft(): Promise<void> {
    await waitFor(async () => (await this.node.metric("tidegate_sessions")) === 0, "it is no session any more");
    await waitFor(() => this.node.node.parts.engine.status().channels === 0, "nobody is interested in its channel");
  }

  async socketEnds(): Promise<void> {
    await waitFor(() => heldSockets(this.node.port) === 0, "its socket is ended", 30_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.proxy[Symbol.dispose]();
    await this.node[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}

// Each waits for time to pass, so they wait together.
const onLinux = canCountSockets ? test.concurrent : test.skip;

test.concurrent("half-open - a client that vanishes while it is sent little is found by its silence", async () => {
  await using place = await Place.start({ pingAfterMs: 200, idleMsMax: 3000 });
  await waitFor(async () => (await place.node.metric("tidegate_sessions")) === 1, "it is a session");
  place.proxy.pause();
  await place.closed(4009);
  await place.nobodyIsLeft();
  expect(place.client.closed).toBeNull();
});

test.concurrent("half-open - a client that vanishes while it is sent much is found by what it does not take", async () => {
  await using place = await Place.start({}, 50_000, 100);
  place.proxy.pause();
  await place.closed(4008);
  await place.nobodyIsLeft();
});

onLinux("half-open - a socket that was closed and whose client never answers is ended", async () => {
  await using place = await Place.start({ pingAfterMs: 200, idleMsMax: 2000 });
  expect(heldSockets(place.node.port)).toBe(1);
  place.proxy.pause();
  await place.closed(4009);
  await place.socketEnds();
});

onLinux("half-open - so is one with a full outbox, when it has lingered long enough", async () => {
  // Too old long before it is full: a full one is closed by the runtime, in the middle of whatever it had.
  await using place = await Place.start({ closeLingerMs: 1000, outboxBytesMax: 64 * 1024 * 1024 }, 50_000, 20);
  expect(heldSockets(place.node.port)).toBe(1);
  place.proxy.pause();
  await place.closed(4008);
  await waitFor(async () => (await place.node.metric("tidegate_slow_total", 'action="cutLate"')) === 1, "it is cut");
  await place.socketEnds();
});

test.concurrent("half-open - who comes back in time goes on as if nothing had been", async () => {
  await using place = await Place.start({ pingAfterMs: 200, idleMsMax: 15_000 });
  const { client, proxy } = place;
  const { length } = client.stream("c0").pushes;
  proxy.pause();
  // Long enough for the node to have asked.
  await Bun.sleep(600);
  proxy.resume();
  await waitFor(() => client.stream("c0").pushes.length > length + 5, "pushes go on");
  expect([client.closed, client.faults]).toEqual([null, []]);
  expect(await place.closes(4009)).toBe(0);
});
