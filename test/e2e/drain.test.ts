/** A node that ends: SIGTERM, SIGINT, by command; and one that another takes over from. */
import { expect, test } from "bun:test";
import { BinanceClient } from "../lib/binance-client.ts";
import { ChildNode, ONE_CHANNEL, startChildNode } from "../lib/child-node.ts";
import { NativeClient } from "../lib/native-client.ts";
import { brokenLinks } from "../lib/native-stream.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

const NATIVE = "/ws/quote/v1";
const connectAll = (node: ChildNode, count: number): Promise<NativeClient[]> =>
  Promise.all(Array.from({ length: count }, () => NativeClient.connect(node.ws + NATIVE)));

/** `afterMs` of the client's only drain notice. */
function notice(client: NativeClient): number {
  const notices = client.others.filter(({ type }) => type === "drain");
  expect(notices).toHaveLength(1);
  return notices[0]!.afterMs as number;
}

test(
  "drain - SIGTERM tells everybody in both dialects, spreads the closes, serves REST meanwhile and ends with 0",
  async () => {
    await using node = await startChildNode([...ONE_CHANNEL, "--drain-seconds", "3", "--workers", "2"]);
    const clients = await connectAll(node, 40);
    for (const client of clients) await client.subscribe(["c0"]);
    const raw = await BinanceClient.connect(`${node.ws}/ws/c0`);
    const combined = await BinanceClient.connect(`${node.ws}/stream?streams=c0`);
    const usdm = await BinanceClient.connect(`${node.ws}/market/ws/c0`);
    const metrics = async () => await (await fetch(`${node.admin}/metrics`)).text();
    await waitFor(async () => /^tidegate_sessions 43$/m.test(await metrics()), "43 sessions are counted");
    expect(await metrics()).toContain("\ntidegate_draining 0\n");

    node.signal("SIGTERM");
    await waitFor(() => clients.every(({ others }) => others.length > 0), "everybody is told");
    const { ready, parts } = await node.readiness();
    expect([ready, parts.drain?.state]).toEqual([false, "down"]);
    expect(parts.drain?.reason).toMatch(/^the node is draining: \d+ sessions left$/);
    expect(await metrics()).toContain("\ntidegate_draining 1\n");
    const refused = await fetch(node.http + NATIVE, {
      headers: {
        connection: "upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      },
    });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect((await fetch(`${node.http}/api/v3/time`)).status).toBe(200);

    for (const client of [...clients, raw, combined, usdm]) {
      expect(await client.untilClosed()).toEqual({ code: 1012, reason: "the node is stopping" });
    }
    expect(await node.status()).toBe(0);

    const after = clients.map(notice).sort((a, b) => a - b);
    expect(after.at(-1)).toBeLessThanOrEqual(3000);
    expect(new Set(after).size).toBeGreaterThan(20);
    // Each worker spreads its own sessions over the same time.
    expect(after.filter((ms) => ms < 1650).length).toBeGreaterThan(10);
    expect(after.filter((ms) => ms >= 1650).length).toBeGreaterThan(10);
    const shutdown = { e: "serverShutdown", E: expect.any(Number) };
    expect(raw.of("").filter(({ e }) => e === "serverShutdown")).toEqual([shutdown]);
    expect(combined.of("!serverShutdown")).toEqual([shutdown]);
    expect(usdm.of("").filter(({ e }) => e === "serverShutdown")).toEqual([]);
    for (const client of clients) expect(brokenLinks(client.stream("c0").pushes)).toEqual([]);

    const begun = node.log.find(({ msg }) => msg === "draining: no new sessions");
    expect(begun).toMatchObject({ cause: "SIGTERM", sessions: 43, seconds: 3 });
    expect(node.log.find(({ msg }) => msg === "drained")).toMatchObject({ closed: 43, leftByThemselves: 0 });
    expect(node.errors).toBe("");
  },
  TEST_MS_MAX,
);

test(
  "drain - a second signal ends the node at once",
  async () => {
    await using node = await startChildNode([...ONE_CHANNEL, "--drain-seconds", "3600"]);
    const client = await NativeClient.connect(node.ws + NATIVE);
    node.signal("SIGTERM");
    await waitFor(() => client.others.length > 0, "the notice");
    // One within half a second of the first is taken for the same, from npm or the terminal.
    await waitFor(async () => {
      node.signal("SIGTERM");
      await Bun.sleep(50);
      return node.ended;
    }, "its end");
    expect(await node.status()).toBe(143);
    expect((await client.untilClosed()).code).not.toBe(1000);
  },
  TEST_MS_MAX,
);

test(
  "drain - SIGINT does not make a person wait, and tells and closes all the same",
  async () => {
    await using node = await startChildNode([...ONE_CHANNEL, "--drain-seconds", "3600"]);
    const clients = await connectAll(node, 5);
    node.signal("SIGINT");
    for (const client of clients) expect((await client.untilClosed()).code).toBe(1012);
    for (const client of clients) expect(notice(client)).toBeLessThanOrEqual(500);
    expect(await node.status()).toBe(0);
  },
  TEST_MS_MAX,
);

test(
  "drain - by command: it says what happens and ends when the node has",
  async () => {
    await using node = await startChildNode([...ONE_CHANNEL, "--drain-seconds", "3600"]);
    const clients = await connectAll(node, 3);
    await waitFor(async () => {
      const text = await (await fetch(`${node.admin}/metrics`)).text();
      return /^tidegate_sessions 3$/m.test(text);
    }, "3 sessions are counted");
    const command = new ChildNode(["drain", "--admin-url", new URL(node.admin).port, "--seconds", "1"]);
    expect(await command.status()).toBe(0);
    expect(command.text).toMatch(
      /^draining: 3 sessions to close within 1 s\n(.*left\n)*the node has ended after [\d.]+ s\n$/,
    );
    expect(await node.status()).toBe(0);
    for (const client of clients) expect((await client.untilClosed()).code).toBe(1012);
    expect((await node.logged("draining: no new")).cause).toBe("POST /api/drain");
    const again = new ChildNode(["drain", "--admin-url", node.admin]);
    expect(await again.status()).toBe(1);
    expect(again.errors).toBe(
      `tidegate: cannot reach the admin server at ${node.admin}: is a node running there? --admin-url names another\n`,
    );
  },
  TEST_MS_MAX,
);

test(
  "drain - by command without waiting; a SIGTERM behind it does not cut it short",
  async () => {
    await using node = await startChildNode([...ONE_CHANNEL, "--drain-seconds", "1"]);
    const client = await NativeClient.connect(node.ws + NATIVE);
    const command = new ChildNode(["drain", "--admin-url", node.admin, "--no-wait"]);
    expect(await command.status()).toBe(0);
    node.signal("SIGTERM");
    expect(await client.untilClosed()).toEqual({ code: 1012, reason: "the node is stopping" });
    expect(await node.status()).toBe(0);
  },
  TEST_MS_MAX,
);
