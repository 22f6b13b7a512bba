/** Every limit of docs/limits.md once, over the wire of a real node: what a client is told, and what is counted. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { TempFolder } from "../lib/temp-folder.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { type Upgraded, type UpgradeOptions, upgrade } from "../lib/upgrade.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const DEPTH = "btcusdt@depth";
const TRADE = "btcusdt@trade";

const MARKET = { source: { kind: "sim", rate: 1000 } };

/** A node, and the connections made to it. */
class Place implements AsyncDisposable {
  readonly node: TestNode;
  readonly opened: Upgraded[] = [];
  readonly #folder: TempFolder;

  private constructor(node: TestNode, folder: TempFolder) {
    this.node = node;
    this.#folder = folder;
  }

  /** With these fields in its config file; without a market of its own it has next to none, so that it starts at once. */
  static async start(content: Readonly<Record<string, unknown>>, workers = "1"): Promise<Place> {
    const folder = new TempFolder();
    const source = { kind: "synthetic", shape: "channels=3,rate=1,size=200" };
    const config = folder.write("tidegate.json", JSON.stringify({ source, ...content }));
    return new Place(await startTestNode({ config, workers }), folder);
  }

  async connect(options: UpgradeOptions = {}): Promise<Upgraded> {
    const one = await upgrade(this.node.port, options);
    this.opened.push(one);
    return one;
  }

  async counted(limit: string, atLeast = 1): Promise<void> {
    await waitFor(
      async () => (await this.node.metric("tidegate_limited_total", `limit="${limit}"`)) >= atLeast,
      `${atLeast} counted for ${limit}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.opened) one.close();
    await this.node[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}

const forwarded = (address: string): UpgradeOptions => ({ headers: { "X-Forwarded-For": address } });
const statuses = (all: readonly Upgraded[]) => all.map(({ status }) => status);

// Some wait for time to pass: together.
test.concurrent("limits - sessions of the node, over both workers; a closed one makes room", async () => {
  await using place = await Place.start({ limits: { sessionsMax: 5 } }, "2");
  const inside: Upgraded[] = [];
  for (let n = 0; n < 5; n++) inside.push(await place.connect());
  expect(statuses(inside)).toEqual([101, 101, 101, 101, 101]);
  const over = await place.connect();
  expect([over.status, over.body]).toMatchObject([503, { code: 1502, limit: "sessionsMax" }]);
  expect(over.body?.error).toContain("connect to another node");
  const retry = Number(over.headers.get("retry-after"));
  expect(retry >= 5 && retry <= 10).toBe(true);
  await waitFor(over.closed, "a refused connection is closed");
  inside[0]!.close();
  await waitFor(async () => (await place.connect()).status === 101, "there is room again");
  expect((await place.connect()).status).toBe(503);
  await place.counted("sessionsMax", 2);
  expect(await place.node.metric("tidegate_errors_total", 'code="1502"')).toBeGreaterThanOrEqual(2);
});

test.concurrent("limits - what a worker held that died is free again, and not more", async () => {
  await using place = await Place.start({ limits: { sessionsMax: 6 } }, "2");
  for (let n = 0; n < 6; n++) expect((await place.connect()).status).toBe(101);
  const edge = place.node.node.parts.edge!;
  edge.post(0, { is: "inject", fault: "throw", ms: 0 });
  await waitFor(() => edge.workers()[0]!.restarts === 1 && edge.ready === 2, "the worker is replaced");
  const alive = () => place.opened.filter((one) => one.status === 101 && !one.closed()).length;
  await waitFor(async () => (await place.connect()).status === 503, "the node is full again");
  await waitFor(
    () => alive() === 6,
    () => `six sessions live, not ${alive()}`,
  );
});

test.concurrent("limits - sessions of one address: IPv4 alone, IPv6 by its first 64 bits", async () => {
  await using place = await Place.start({ limits: { sessionsPerIpMax: 2, trustedProxies: ["127.0.0.1"] } }, "2");
  const from = async (address: string) => (await place.connect(forwarded(address))).status;
  expect([await from("1.1.1.1"), await from("1.1.1.1"), await from("1.1.1.1")]).toEqual([101, 101, 429]);
  expect([await from("1.1.1.2"), await from("9.9.9.9, 1.1.1.1")]).toEqual([101, 429]);
  expect([await from("2001:db8::1"), await from("2001:db8::2"), await from("2001:db8::3")]).toEqual([101, 101, 429]);
  expect(await from("2001:db8:0:1::1")).toBe(101);
  expect(place.opened[2]!.body).toEqual({
    error: "too many sessions (an address may have 2): close those you do not need",
    code: 1303,
    limit: "sessionsPerIpMax",
  });
  place.opened[0]!.close();
  await waitFor(async () => (await from("1.1.1.1")) === 101, "a closed session makes room");
  await place.counted("sessionsPerIpMax", 3);
});

test.concurrent("limits - a seat is given back once, however its session ends or does not begin", async () => {
  await using place = await Place.start({
    limits: { sessionsMax: 2, sessionsPerIpMax: 2, sessionMsMax: 60_000, frameBytesMax: 128 },
  });
  const keeper = await place.connect();
  expect(keeper.status).toBe(101);
  /** A masked frame with a mask of zeros. */
  const frame = (opcode: number, body: Buffer) =>
    Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | body.length, 0, 0, 0, 0]), body]);
  const ends: readonly (readonly [how: string, end: (one: Upgraded) => void])[] = [
    ["the client is gone", (one) => one.close()],
    ["the client closes", (one) => one.write(frame(8, Buffer.from([0x03, 0xe8])))],
    ["a frame is too big", (one) => one.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]))],
    ["a frame is no frame", (one) => one.write(Buffer.alloc(20, 0xff))],
    ["text is no text", (one) => one.write(frame(1, Buffer.from([0xff, 0xfe])))],
  ];
  /** The next session, as soon as there is room for it. */
  const next = async (after: string): Promise<Upgraded> => {
    let one = await place.connect();
    await waitFor(async () => {
      if (one.status !== 101) one = await place.connect();
      return one.status === 101;
    }, `room after: ${after}`);
    return one;
  };
  let one = await next("the start");
  for (const [how, end] of ends) {
    expect((await place.connect()).status).toBe(503);
    end(one);
    one = await next(how);
  }
  one.close();
  const malformed = { headers: { "Sec-WebSocket-Key": "short" } };
  await waitFor(async () => (await place.connect(malformed)).status === 400, "a handshake that fails at the very end");
  for (let n = 0; n < 5; n++) expect((await place.connect(malformed)).status).toBe(400);
  expect([(await place.connect()).status, (await place.connect()).status]).toEqual([101, 503]);
});

test.concurrent("limits - who is not trusted cannot speak for others", async () => {
  await using place = await Place.start({ limits: { sessionsPerIpMax: 1, trustedProxies: ["127.0.0.7"] } });
  const other = (address: string) => place.connect({ from: "127.0.0.8", ...forwarded(address) });
  expect(statuses([await other("1.1.1.1"), await other("1.1.1.2")])).toEqual([101, 429]);
  const proxied = (address: string) => place.connect({ from: "127.0.0.7", ...forwarded(address) });
  expect(statuses([await proxied("1.1.1.1"), await proxied("1.1.1.2")])).toEqual([101, 101]);
  // A header of the client's own before that of the proxy.
  const forged = await place.connect({ from: "127.0.0.7", headers: { "X-Forwarded-For": ["6.6.6.6", "1.1.1.1"] } });
  expect(forged.status).toBe(429);
});

test.concurrent("limits - connects of one address: the burst, then 429 with the time to wait", async () => {
  await using place = await Place.start(
    { limits: { connects: { perSecond: 0.01, burst: 3 }, trustedProxies: ["127.0.0.1"] } },
    "2",
  );
  const from = (address: string) => place.connect(forwarded(address));
  const four = [await from("1.1.1.1"), await from("1.1.1.1"), await from("1.1.1.1"), await from("1.1.1.1")];
  expect(statuses(four)).toEqual([101, 101, 101, 429]);
  expect(four[3]!.body).toMatchObject({ code: 1304, limit: "connects" });
  const retry = Number(four[3]!.headers.get("retry-after"));
  expect(retry > 20 && retry <= 100).toBe(true);
  expect((await from("1.1.1.2")).status).toBe(101);
  await place.counted("connects");
});

test.concurrent("limits - addresses allowed and denied, REST included", async () => {
  await using place = await Place.start({
    limits: { allow: ["127.0.0.0/8", "2001:db8::/32"], deny: ["127.0.0.9"], trustedProxies: ["127.0.0.1"] },
  });
  expect((await place.connect()).status).toBe(101);
  expect((await place.connect(forwarded("2001:db8:1::1"))).status).toBe(101);
  const outside = await place.connect(forwarded("2001:db9::1"));
  expect([outside.status, outside.body?.code, outside.body?.limit]).toEqual([403, 1305, "allow"]);
  const denied = await place.connect({ from: "127.0.0.9" });
  expect([denied.status, denied.body?.code, denied.body?.limit]).toEqual([403, 1305, "deny"]);
  expect(denied.body?.error).toContain("127.0.0.9");
  const rest = (headers: Record<string, string>) => fetch(`${place.node.http}/api/v3/ping`, { headers });
  expect((await rest({})).status).toBe(200);
  expect((await rest({ "X-Forwarded-For": "8.8.8.8" })).status).toBe(403);
  await place.counted("allow", 2);
  await place.counted("deny");
});

test.concurrent("limits - origins: a page that is not allowed is refused, a program is not asked", async () => {
  await using place = await Place.start({ limits: { origins: ["https://app.example.com", "https://*.example.org"] } });
  const of = async (origin: string) => (await place.connect({ headers: { Origin: origin } })).status;
  expect([await of("https://app.example.com"), await of("https://a.example.org")]).toEqual([101, 101]);
  expect([await of("https://evil.example.net"), await of("null")]).toEqual([403, 403]);
  expect(place.opened[2]!.body).toMatchObject({ code: 1306, limit: "origins" });
  expect((await place.connect()).status).toBe(101);
  await place.counted("origins", 2);
});

test.concurrent("limits - frames, subscriptions and commands of a session", async () => {
  await using place = await Place.start({
    limits: {
      frameBytesMax: 512,
      subscriptionsMax: 2,
      commands: { native: { perSecond: 1, burst: 5, refusalsMax: 3 } },
    },
  });
  const big = await place.node.native();
  big.send({ op: "ping", id: "x".repeat(600) });
  expect((await big.untilClosed()).code).toBe(1009);
  await place.counted("frameBytesMax");

  const many = await place.node.native();
  const reply = await many.subscribe(["c0", "c1", "c2"]);
  expect(Object.keys(reply.channels)).toEqual(["c0", "c1"]);
  expect(reply.errors).toMatchObject([{ channel: "c2", code: 1301 }]);
  await place.counted("subscriptionsMax");

  const fast = await place.node.native();
  for (let id = 1; id <= 60; id++) fast.send({ op: "ping", id });
  expect(await fast.untilClosed()).toEqual({ code: 1008, reason: "Too many requests" });
  expect(
    fast.others.filter(({ error }) => (error as { code?: number } | undefined)?.code === 1302).length,
  ).toBeGreaterThan(0);
  await place.counted("commands", 4);
});

test.concurrent("limits - a session's life ends 4012, and the next one may begin", async () => {
  await using place = await Place.start({ limits: { sessionMsMax: 1000 } });
  const client = await place.node.native();
  expect(await client.untilClosed()).toEqual({ code: 4012, reason: "session reached its age limit" });
  await place.counted("sessionMsMax");
  expect((await place.connect()).status).toBe(101);
});

test.concurrent("limits - silence: pinged first, then closed 4009", async () => {
  await using place = await Place.start({ limits: { pingAfterMs: 200, idleMsMax: 5000 } });
  const silent = await place.connect();
  const answering = await place.node.native();
  await waitFor(silent.closed, "who answers no ping is closed");
  await place.counted("idleMsMax");
  expect(answering.closed).toBeNull();
  expect(await answering.ask({ op: "ping" })).toMatchObject({ ok: true });
});

test.concurrent("limits - what a session is sent: slower and slower until it fits, nothing left out", async () => {
  await using place = await Place.start({ ...MARKET, limits: { outbound: { framesPerSecond: 10 } } });
  const client = await place.node.native();
  await client.subscribe([DEPTH, TRADE, "btcusdt@bookTicker"]);
  const told = () => client.stream(TRADE).notices.filter(({ type }) => type === "cadence");
  await waitFor(
    () => Number(told().at(-1)?.ms) >= 100,
    () => `the cadence falls: ${JSON.stringify(told())}; closed: ${JSON.stringify(client.closed)}`,
    40_000,
  );
  expect(told().every(({ reason }) => reason === "slow")).toBe(true);
  // Its chains are whole, and so is the sequence of its trades.
  expect(client.faults).toEqual([]);
  const ids = client.stream(TRADE).items.map(({ id }) => Number(id));
  expect(ids).toEqual(ids.map((_, at) => ids[0]! + at));
  await place.counted("outbound", 2);
});

test.concurrent("limits - a Binance session that is sent too much is slowed without a word, in an exact chain", async () => {
  await using place = await Place.start({ ...MARKET, limits: { outbound: { framesPerSecond: 3 } } });
  const client = await place.node.binance("/ws/btcusdt@depth@100ms");
  const events = () => client.of("").map(({ U, u, E }) => ({ first: Number(U), last: Number(u), ms: Number(E) }));
  const spans = () => events().map(({ ms }, at, all) => ms - (all[at - 1]?.ms ?? ms));
  // At 100 ms it would get ten a second, at 500 ms two.
  await waitFor(
    () => spans().filter((ms) => ms > 200).length > 3,
    () => `slower events: ${spans()}`,
    40_000,
  );
  await place.counted("outbound");
  expect(events().filter(({ first }, at, all) => at > 0 && first !== all[at - 1]!.last + 1)).toEqual([]);
  expect(client.closed).toBeNull();
});
