/** The Binance dialect from end to end: ways to connect, requests and their errors, and every stream's frames. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { BinanceBook } from "../lib/binance-book.ts";
import { BinanceClient, type BinanceReply, untilTooMany } from "../lib/binance-client.ts";
import { startChildNode } from "../lib/child-node.ts";
import type { Frame } from "../lib/frame-socket.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ simRate: "1000", seed: "21" });
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

const KLINE = "t T s i f L o c h l v n x q V Q B";
const DAY = "o h l v q";
/** Keys of each event in the order of the wire (Binance's documents). */
const KEYS: Readonly<Record<string, string>> = {
  trade: "e E s t p q T m M",
  aggTrade: "e E s a p q f l T m M",
  depth: "e E s U u b a",
  "depth@100ms": "e E s U u b a",
  depth5: "lastUpdateId bids asks",
  "depth10@100ms": "lastUpdateId bids asks",
  "depth20@100ms": "lastUpdateId bids asks",
  bookTicker: "u s b B a A",
  kline_1m: "e E s k",
  kline_1s: "e E s k",
  miniTicker: `e E s c ${DAY}`,
  ticker: `e E s p P w x c Q b B a A ${DAY} O C F L n`,
};
const STREAMS = Object.keys(KEYS).map((stream) => `ethusdt@${stream}`);

const keysOf = (frame: unknown): string => Object.keys(frame as object).join(" ");
const pathOf = (streams: readonly string[], combined: boolean): string =>
  combined ? `/stream?streams=${streams.join("/")}` : `/ws/${streams.join("/")}`;
async function hasAll(client: BinanceClient, streams: readonly string[]): Promise<void> {
  await waitFor(
    () => client.closed !== null || streams.every((stream) => client.of(stream).length > 0),
    () => `an event of ${streams.filter((stream) => client.of(stream).length === 0)}`,
  );
  expect(client.closed).toBeNull();
}

/** Settles when LIST_SUBSCRIPTIONS names exactly these: names we do not have are listed until that is found out. */
async function lists(client: BinanceClient, streams: readonly string[]): Promise<void> {
  const wanted = streams.toSorted();
  await waitFor(async () => {
    const { result } = await client.request("LIST_SUBSCRIPTIONS");
    if (Bun.deepEquals((result as string[]).toSorted(), wanted)) return true;
    // Five frames a second are allowed.
    await Bun.sleep(300);
    return false;
  }, `${wanted.length} subscriptions are listed`);
}

test.concurrent("binance - a combined URL wraps each event under the name as asked, keys in Binance's order", async () => {
  const client = await node.binance(pathOf(STREAMS, true));
  await hasAll(client, STREAMS);
  expect([...client.events.keys()].sort()).toEqual(STREAMS.toSorted());
  for (const text of client.texts.slice(0, 50)) expect(text).toStartWith('{"stream":"ethusdt@');
  for (const [stream, keys] of Object.entries(KEYS)) {
    for (const event of client.of(`ethusdt@${stream}`)) {
      expect(keysOf(event), stream).toBe(keys);
      if ("s" in event) expect(event.s).toBe("ETHUSDT");
      if (typeof event.E === "number") expect(Math.abs(event.E - Date.now())).toBeLessThan(60_000);
    }
  }
  for (const stream of ["ethusdt@kline_1m", "ethusdt@kline_1s"]) {
    for (const { k } of client.of(stream)) {
      expect(keysOf(k)).toBe(KLINE);
      const { t, T, i, s } = k as Frame;
      expect([i, s]).toEqual([stream.slice(-2), "ETHUSDT"]);
      expect(Number(T) - Number(t)).toBe(i === "1m" ? 59_999 : 999);
    }
  }
  for (const { bids, asks } of client.of("ethusdt@depth5"))
    expect([bids, asks]).toMatchObject([{ length: 5 }, { length: 5 }]);
  const ticker = client.of("ethusdt@ticker")[0] as Frame;
  // From this node's own book.
  expect(Number(ticker.b)).toBeGreaterThan(0);
  expect(Number(ticker.a)).toBeGreaterThan(Number(ticker.b));
  const trades = client.of("ethusdt@trade");
  trades.slice(1).forEach((trade, at) => {
    expect(Number(trade.t)).toBe(Number(trades[at]?.t) + 1);
  });
});

test.concurrent("binance - a raw URL sends the events alone; microseconds where the URL asks for them", async () => {
  const client = await node.binance(`${pathOf(["ethusdt@trade", "ethusdt@depth@100ms"], false)}?timeUnit=MICROSECOND`);
  const events = () => client.of("");
  const some = (e: string) => events().filter((event) => event.e === e);
  await waitFor(() => some("trade").length > 0 && some("depthUpdate").length > 0, "events of both streams");
  expect([...client.events.keys()]).toEqual([""]);
  for (const event of events()) expect(String(event.E)).toHaveLength(16);
  for (const trade of some("trade")) expect(String(trade.T)).toHaveLength(16);
  const wrong = await fetch(`${node.http}/ws/ethusdt@trade?timeUnit=DAYS`, {
    headers: { upgrade: "websocket", connection: "upgrade", "sec-websocket-key": "x", "sec-websocket-version": "13" },
  });
  expect(wrong.status).toBe(400);
});

test.concurrent("binance - every way to connect: empty lists, unknown names, ccxt's number", async () => {
  for (const path of ["/ws", "/ws/", "/ws/0", "/ws/nothing@trade", "/stream-spot/ws/7"]) {
    const client = await node.binance(path);
    await lists(client, []);
    expect(await client.request("SUBSCRIBE", ["btcusdt@trade"]), path).toMatchObject({ result: null });
    await waitFor(() => client.of("").length > 0, `a raw event on ${path}`);
  }
  for (const path of ["/stream", "/stream?streams=", "/stream?streams=nothing@trade", "/stream-spot/stream"]) {
    const client = await node.binance(path);
    expect(await client.request("SUBSCRIBE", ["btcusdt@trade", "nothing@trade"]), path).toMatchObject({ result: null });
    await waitFor(() => client.of("btcusdt@trade").length > 0, `a combined event on ${path}`);
  }
});

test.concurrent("binance - SUBSCRIBE, LIST, UNSUBSCRIBE: idempotent, ids of every type come back as they were", async () => {
  const client = await node.binance("/stream");
  const ids = [7, "0123456789abcdef0123456789abcdef", null, 0, -1];
  const requests = [
    ["SUBSCRIBE", ["ethusdt@depth@100ms", "ethusdt@trade"], null],
    ["SUBSCRIBE", ["ethusdt@trade"], null],
    ["LIST_SUBSCRIPTIONS", undefined, ["ethusdt@depth@100ms", "ethusdt@trade"]],
    ["UNSUBSCRIBE", ["ethusdt@trade", "bnbusdt@trade"], null],
    ["LIST_SUBSCRIPTIONS", undefined, ["ethusdt@depth@100ms"]],
  ] as const;
  for (const [at, [method, params, result]] of requests.entries()) {
    client.send({ method, params, id: ids[at] });
    await waitFor(() => client.others.length === at + 1, `the reply to ${method}`);
    const reply = client.others[at] as Frame;
    expect(keysOf(reply)).toBe("result id");
    expect(reply.id).toBe(ids[at]);
    if (Array.isArray(result)) expect((reply.result as string[]).toSorted()).toEqual([...result]);
    else expect(reply.result).toBeNull();
  }
  const count = client.of("ethusdt@trade").length;
  const { length } = client.of("ethusdt@depth@100ms");
  await waitFor(() => client.of("ethusdt@depth@100ms").length > length + 3, "more depth events");
  expect(client.of("ethusdt@trade")).toHaveLength(count);
  const trades = client.of("ethusdt@trade").map(({ t }) => t);
  expect(new Set(trades).size).toBe(trades.length);
});

test.concurrent("binance - SET_PROPERTY changes the envelope of running streams, and no event is lost over it", async () => {
  const client = await node.binance(pathOf(["ethusdt@trade"], true));
  const trades = () => client.of("ethusdt@trade");
  await waitFor(() => trades().length > 0, "a combined event");
  expect(await client.request("GET_PROPERTY", ["combined"])).toMatchObject({ result: true });
  expect(await client.request("SET_PROPERTY", ["combined", false])).toMatchObject({ result: null });
  const wrapped = trades().length;
  await waitFor(() => client.of("").length > 1, "raw events");
  expect(await client.request("GET_PROPERTY", ["combined"])).toMatchObject({ result: false });
  expect(trades()).toHaveLength(wrapped);
  expect(await client.request("SET_PROPERTY", ["combined", true])).toMatchObject({ result: null });
  await waitFor(() => trades().length > wrapped, "combined events again");
  const ids = client.texts.map((text) => Number(/"t":(\d+)/.exec(text)?.[1]));
  ids.slice(1).forEach((id, at) => {
    expect(id).toBe((ids[at] ?? 0) + 1);
  });
});

const METHODS = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`";
const REFUSALS: readonly (readonly [frame: string, code: number, msg: string, id?: unknown])[] = [
  ['{"method":"SET_PROPERTY","params":["colour",true],"id":1}', 0, "Unknown property", 1],
  ['{"method":"SET_PROPERTY","params":["combined",1],"id":2}', 1, "Invalid value type: expected Boolean", 2],
  ['{"method":"GET_PROPERTY","params":[],"id":3}', 2, "Invalid request: property name must be a string", 3],
  ['{"method":"LIST_SUBSCRIPTIONS"}', 2, "Invalid request: request ID must be an unsigned integer"],
  [
    '{"method":"DANCE","id":4}',
    2,
    `Invalid request: unknown variant \`DANCE\`, expected one of ${METHODS} at line 1 column 17`,
    4,
  ],
  ['{"method":"GET_PROPERTY","params":["combined",1],"id":5}', 2, "Invalid request: too many parameters", 5],
  ['{"id":6}', 2, "Invalid request: missing field `method` at line 1 column 8"],
  ['{"method":"SUBSCRIBE","params":["a b@trade"],"id":7}', 2, "Invalid request: invalid stream", 7],
  ["hello", 3, "Invalid JSON: expected value at line 1 column 1"],
];

test.concurrent("binance - each error of the table, in Binance's words, and the stream goes on", async () => {
  await Promise.all(
    REFUSALS.map(async ([frame, code, msg, id]) => {
      const client = await node.binance(pathOf(["ethusdt@trade"], false));
      client.send(frame);
      await waitFor(() => client.others.length > 0, `a reply to ${frame}`);
      const { error, id: echoed } = client.others[0] as BinanceReply;
      expect(error, frame).toEqual({ code, msg });
      if (id !== undefined) expect(echoed).toBe(id);
      const { length } = client.of("");
      await waitFor(() => client.of("").length > length, "events after the error");
    }),
  );
});

test.concurrent("binance - more than 5 frames in a second close the session 1008 with Binance's words", async () => {
  const client = await node.binance("/ws");
  expect(await untilTooMany(client, 5)).toEqual({ code: 1008, reason: "Too many requests" });
});

test.concurrent("binance - REST: ping, time, exchangeInfo, depth and their errors", async () => {
  const get = async (path: string) => {
    const response = await fetch(`${node.http}/api/v3/${path}`);
    return { status: response.status, body: (await response.json()) as Frame };
  };
  expect(await get("ping")).toEqual({ status: 200, body: {} });
  const { body: time } = await get("time");
  expect(Math.abs(Number(time.serverTime) - Date.now())).toBeLessThan(60_000);
  const { body: info } = await get("exchangeInfo");
  expect((info.symbols as Frame[]).map(({ symbol }) => symbol)).toContain("BTCUSDT");
  const { body: depth } = await get("depth?symbol=BTCUSDT&limit=5");
  expect(keysOf(depth)).toBe("lastUpdateId bids asks");
  expect([depth.bids, depth.asks]).toMatchObject([{ length: 5 }, { length: 5 }]);
  const errors = [
    ["depth", 400, -1102],
    ["depth?symbol=NOTHING", 400, -1121],
    ["depth?symbol=BTCUSDT&limit=x", 400, -1100],
    ["exchangeInfo?symbol=NOTHING", 400, -1121],
  ] as const;
  for (const [path, status, code] of errors) {
    const { status: got, body } = await get(path);
    expect([path, got, body.code]).toEqual([path, status, code]);
    expect(typeof body.msg).toBe("string");
  }
  expect((await fetch(`${node.http}/api/v3/nothing`)).status).toBe(404);
  expect((await fetch(`${node.http}/api/v3/ping`, { method: "POST" })).status).toBe(405);
});

test.concurrent("binance - local books at both speeds follow the exact rule and agree with REST", async () => {
  const client = await node.binance("/stream");
  const symbols = node.node.parts.registry.list("spot").map(({ symbol }) => symbol);
  const streams = symbols.flatMap((symbol) => [`${symbol}@depth@100ms`, `${symbol}@depth`]);
  const books = streams.map((stream) => ({ stream, book: new BinanceBook(client, stream) }));
  expect(await client.request("SUBSCRIBE", streams)).toMatchObject({ result: null });
  await Promise.all(
    books.map(({ stream, book }) => book.start(node.http, stream.slice(0, stream.indexOf("@")).toUpperCase())),
  );
  await waitFor(() => books.every(({ book }) => book.applied >= 3), "three events of every book");
  for (const { stream, book } of books) expect([stream, book.faults]).toEqual([stream, []]);
  // Both speeds of a book meet at common instants.
  for (const symbol of symbols.slice(0, 3)) {
    const [fast, slow] = ["@depth@100ms", "@depth"].map(
      (speed) => books.find(({ stream }) => stream === symbol + speed)?.book as BinanceBook,
    );
    await waitFor(() => fast?.id === slow?.id, `both speeds of ${symbol} at one update id`);
    expect(fast?.book.depth()).toEqual(slow?.book.depth());
  }
});

test.concurrent("binance - a URL may name 1,024 streams in 24 KiB; one more is a 400 that says so", async () => {
  await using child = await startChildNode(["--sim-rate", "200"]);
  const { symbols } = (await (await fetch(`${child.http}/api/v3/exchangeInfo`)).json()) as { symbols: Frame[] };
  const names = symbols.flatMap(({ symbol }) =>
    Object.keys(KEYS).map((stream) => `${String(symbol).toLowerCase()}@${stream}`),
  );
  const unknown = Array.from({ length: 1024 - names.length }, (_, at) => `symbolwenothave${at}@trade`);
  const path = `/stream?streams=${[...unknown, ...names].join("/")}`;
  expect(path.length).toBeGreaterThan(22 * 1024);
  const client = await BinanceClient.connect(child.ws + path);
  await lists(client, names);
  await hasAll(
    client,
    names.filter((name) => name.endsWith("@depth@100ms")),
  );
  client.close();
  const headers = { upgrade: "websocket", connection: "upgrade", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
  const refused = await fetch(`${child.http}${path}/one@trade`, {
    headers: { ...headers, "sec-websocket-version": "13" },
  });
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain("too many streams");
});
