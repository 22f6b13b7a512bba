/**
 * Clients that vanish without a word: a proxy stops passing anything, both ways, and answers nothing. The node finds them,
 * frees what they had, and ends their sockets, also those that it has closed itself and whose clients never answer.
 */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { canCountSockets, heldSockets } from "../lib/held-sockets.ts";
import { NativeClient } from "../lib/native-client.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

let node: TestNode;
let proxy: CuttingProxy;
let folder: TempFolder;

/** A node, a proxy before it, and a client through that. */
async function start(limits: Readonly<Record<string, unknown>>, size = 200, rate = 20): Promise<NativeClient> {
  folder = new TempFolder();
  const source = { kind: "synthetic", shape: `channels=1,rate=${rate},size=${size}` };
  node = await startTestNode({ config: folder.write("c.json", JSON.stringify({ source, limits })) });
  proxy = await CuttingProxy.start({ port: node.port, seed: 1 });
  const client = await NativeClient.connect(`ws://127.0.0.1:${proxy.port}/ws/quote/v1`);
  await client.subscribe(["c0"]);
  await waitFor(() => client.stream("c0").pushes.length > 2, "the client gets pushes");
  return client;
}

afterEach(async () => {
  proxy[Symbol.dispose]();
  await node[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const sessions = () => node.metric("tidegate_sessions");
const closes = (code: number) => node.metric("tidegate_closes_total", `code="${code}"`);

test("half-open - a client that vanishes while it is sent little is found by its silence", async () => {
  const client = await start({ pingAfterMs: 200, idleMsMax: 3000 });
  await waitFor(async () => (await sessions()) === 1, "it is a session");
  proxy.pause();
  await waitFor(async () => (await closes(4009)) === 1, "it is closed IDLE");
  await waitFor(async () => (await sessions()) === 0, "it is no session any more");
  await waitFor(() => node.node.parts.engine.status().channels === 0, "nobody is interested in its channel");
  expect(client.closed).toBeNull();
});

test("half-open - a client that vanishes while it is sent much is found by what it does not take", async () => {
  await start({}, 50_000, 100);
  proxy.pause();
  await waitFor(async () => (await closes(4008)) === 1, "it is closed SLOW");
  await waitFor(async () => (await sessions()) === 0, "it is no session any more");
  await waitFor(() => node.node.parts.engine.status().channels === 0, "nobody is interested in its channel");
});

test.skipIf(!canCountSockets)(
  "half-open - a socket that was closed and whose client never answers is ended",
  async () => {
    await start({ pingAfterMs: 200, idleMsMax: 2000 });
    expect(heldSockets(node.port)).toBe(1);
    proxy.pause();
    await waitFor(async () => (await closes(4009)) === 1, "it is closed IDLE");
    await waitFor(() => heldSockets(node.port) === 0, "its socket is ended", 30_000);
  },
);

test.skipIf(!canCountSockets)(
  "half-open - so is one with a full outbox, when it has lingered long enough",
  async () => {
    // Too old long before it is full: a full one is closed by the runtime, in the middle of whatever it had.
    await start({ closeLingerMs: 1000, outboxBytesMax: 64 * 1024 * 1024 }, 50_000, 20);
    expect(heldSockets(node.port)).toBe(1);
    proxy.pause();
    await waitFor(async () => (await closes(4008)) === 1, "it is closed SLOW");
    await waitFor(async () => (await node.metric("tidegate_slow_total", 'action="cutLate"')) === 1, "it is cut");
    await waitFor(() => heldSockets(node.port) === 0, "its socket is ended", 30_000);
  },
);

test("half-open - who comes back in time goes on as if nothing had been", async () => {
  const client = await start({ pingAfterMs: 200, idleMsMax: 15_000 });
  const { length } = client.stream("c0").pushes;
  proxy.pause();
  // Long enough for the node to have asked.
  await Bun.sleep(600);
  proxy.resume();
  await waitFor(() => client.stream("c0").pushes.length > length + 5, "pushes go on");
  expect([client.closed, client.faults]).toEqual([null, []]);
  expect(await closes(4009)).toBe(0);
});
