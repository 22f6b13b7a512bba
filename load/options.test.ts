import { expect, test } from "bun:test";
import { judge, NO_LIMITS } from "./limits.ts";
import {
  DEFAULTS,
  expandNames,
  type LoadOptions,
  readAddresses,
  readBytes,
  readDuration,
  readJitter,
  readShare,
  readSlowRate,
} from "./options.ts";
import { depthUrl, Places, partsOf } from "./plan.ts";
import { lookAlike } from "./verify/binance.ts";
import { Wheel } from "./wheel.ts";

const OPTIONS: LoadOptions = {
  ...DEFAULTS,
  urls: ["ws://127.0.0.1:8080/ws/quote/v1"],
  dialect: "native",
  channels: ["a@trade", "b@trade", "c@trade"],
  perConnection: null,
  byUrl: false,
  cadence: null,
  messages: null,
  failFast: false,
  slowShare: 0,
  jitter: null,
  jitterShare: 1,
  reconnect: true,
  verify: "chains",
  localAddresses: "auto",
  tls: { ca: null, insecure: false },
  processes: null,
  limits: NO_LIMITS,
};

test("load options - times, shares, sizes, speeds and jitter as people write them", () => {
  expect(["10m", "30s", "30", "500ms", "1.5h"].map((text) => readDuration("d", text))).toEqual([
    600e3, 30e3, 30e3, 500, 5.4e6,
  ]);
  expect(["1%", "0.01", "100%", "0"].map((text) => readShare("s", text))).toEqual([0.01, 0.01, 1, 0]);
  expect(["64KiB", "10kB", "4096", "1MiB"].map((text) => readBytes("b", text))).toEqual([
    65_536,
    10_000,
    4096,
    2 ** 20,
  ]);
  expect([readSlowRate("r", "5%"), readSlowRate("r", "10kB/s")]).toEqual([{ share: 0.05 }, { bytesPerSecond: 10_000 }]);
  expect(readJitter("j", "1s/5s")).toEqual({ downMs: 1000, everyMs: 5000 });
  expect(readAddresses("l", "127.0.0.9, 127.0.0.2-4,127.0.0.7-127.0.0.8")).toEqual(
    ["9", "2", "3", "4", "7", "8"].map((last) => `127.0.0.${last}`),
  );
  expect(readAddresses("l", "auto")).toBe("auto");
});

test("load options - what they cannot read they name", () => {
  for (const text of ["", "10x", "-1s", "0", "s"])
    expect(() => readDuration("duration", text)).toThrow(`--duration: "${text}" is not`);
  for (const text of ["101%", "2", "x", "-1%"])
    expect(() => readShare("slow", text)).toThrow(`--slow: "${text}" is not`);
  for (const text of ["1s", "5s/1s", "1s/2s/3s", "/5s"]) expect(() => readJitter("jitter", text)).toThrow("--jitter: ");
  for (const text of ["localhost", "127.0.0.5-4", "127.0.0.1-300"])
    expect(() => readAddresses("local-address", text)).toThrow("--local-address: ");
  for (const text of ["0", "x", "1TB"]) expect(() => readBytes("slow-buffer", text)).toThrow("--slow-buffer: ");
});

test("load options - names with ranges and with every symbol, each once", async () => {
  let asked = 0;
  const symbols = async (): Promise<string[]> => {
    asked += 1;
    return ["btcusdt", "usdm:ethusdt"];
  };
  expect(await expandNames("c{8..11},c9, x@trade", symbols)).toEqual(["c8", "c9", "c10", "c11", "x@trade"]);
  expect(asked).toBe(0);
  expect(await expandNames("{symbol}@depth", symbols)).toEqual(["btcusdt@depth", "usdm:ethusdt@depth"]);
  await expect(expandNames("c{5..1}", symbols)).rejects.toThrow("--subscribe");
  await expect(expandNames("c{0..999999}", symbols)).rejects.toThrow("--subscribe");
});

test("load plan - so many processes as descriptors ask for, each with its share of connections and of the rate", () => {
  const parts = (connections: number, more: Partial<LoadOptions> = {}, descriptors = 20_000) =>
    partsOf({ ...OPTIONS, connections, ...more }, descriptors, true);
  expect(parts(18_000).map(({ first, count }) => [first, count])).toEqual([[0, 18_000]]);
  expect(parts(25_000).map(({ first, count, connectRate }) => [first, count, connectRate])).toEqual([
    [0, 12_500, 500],
    [12_500, 12_500, 500],
  ]);
  const uneven = parts(7, { processes: 3, connectRate: 70 });
  expect(uneven.map(({ first, count, connectRate }) => [first, count, connectRate])).toEqual([
    [0, 3, 30],
    [3, 2, 20],
    [5, 2, 20],
  ]);
  expect(parts(5000, {}, 3000)).toHaveLength(3);
  expect(() => parts(40_000, { processes: 2 })).toThrow("--processes: 2 of them can hold 36000 connections");
});

test("load plan - loopback runs that need more ports than one address has get addresses of their own", () => {
  const addresses = (connections: number, more: Partial<LoadOptions> = {}, linux = true) =>
    partsOf({ ...OPTIONS, connections, ...more }, 20_000, linux).map(({ localAddresses }) => localAddresses.join());
  expect(addresses(8000)).toEqual([""]);
  expect(addresses(20_000)).toEqual(["127.0.0.2,127.0.0.3", "127.0.1.2,127.0.1.3"]);
  expect(addresses(16_000, { urls: ["ws://127.0.0.1:1", "ws://127.0.0.1:2"] })).toEqual([""]);
  expect(addresses(40_000, { urls: ["ws://gateway.example.com"] })).toEqual(["", "", ""]);
  expect(addresses(40_000, {}, false)).toEqual(["", "", ""]);
  expect(addresses(10, { localAddresses: ["127.0.0.9"] })).toEqual(["127.0.0.9"]);
});

test("load plan - channels go round the connections, who wants the same shares the plan", () => {
  const places = (more: Partial<LoadOptions>): Places => {
    const [part] = partsOf({ ...OPTIONS, ...more }, 20_000, true);
    return new Places(part!);
  };
  const two = places({ perConnection: 2 });
  expect([0, 1, 2, 3].map((at) => two.of(at).plan.names.join())).toEqual([
    "a@trade,b@trade",
    "c@trade,a@trade",
    "b@trade,c@trade",
    "a@trade,b@trade",
  ]);
  expect(two.of(0).plan).toBe(two.of(3).plan);
  expect(two.of(0).target).toBe(two.of(1).target);
  expect(places({ cadence: 250 }).of(0).plan.command).toMatchObject({ op: "subscribe", cadence: 250 });
});

test("load plan - URLs in turn, streams in the URL, ports and TLS", () => {
  const [part] = partsOf(
    {
      ...OPTIONS,
      urls: ["ws://a.example/ws", "wss://b.example:444/stream?timeUnit=MICROSECOND"],
      dialect: "binance",
      byUrl: true,
      perConnection: 1,
      tls: { ca: "PEM", insecure: false },
    },
    20_000,
    true,
  );
  const places = new Places(part!);
  const first = places.of(0).target;
  expect([first.hostname, first.port, first.path, first.tls]).toEqual(["a.example", 80, "/ws/a@trade", null]);
  const second = places.of(1).target;
  expect([second.port, second.path]).toEqual([444, "/stream?timeUnit=MICROSECOND&streams=b@trade"]);
  expect(second.tls).toEqual({ serverName: "b.example", rejectUnauthorized: true, ca: "PEM" });
});

test("load plan - books ask the REST side of their market", () => {
  expect(depthUrl("ws://h:1/stream", "btcusdt")).toBe("http://h:1/api/v3/depth?symbol=BTCUSDT&limit=5000");
  expect(depthUrl("wss://h/public/stream", "btcusdt")).toBe("https://h/fapi/v1/depth?symbol=BTCUSDT&limit=1000");
});

test("load plan - streams that look the same on a raw connection", () => {
  expect(lookAlike(["x@depth", "x@trade", "x@aggTrade", "x@kline_1m", "x@kline_5m", "y@depth"])).toBeNull();
  expect(lookAlike(["x@depth", "x@depth@100ms"])).toEqual(["x@depth", "x@depth@100ms"]);
  expect(lookAlike(["x@trade", "x@depth20", "x@depth"])).toEqual(["x@depth20", "x@depth"]);
});

test("load wheel - everything once, in order, not before its time and within one turn after it", () => {
  const wheel = new Wheel(10, 1000);
  const done: string[] = [];
  wheel.at(1055, () => done.push("55"));
  wheel.at(1010, () => {
    done.push("10");
    wheel.at(1010, () => done.push("again"));
  });
  wheel.at(500, () => done.push("late"));
  wheel.turn(1005);
  expect(done).toEqual(["late"]);
  wheel.turn(1059);
  expect(done).toEqual(["late", "10", "again"]);
  wheel.turn(1060);
  expect(done).toEqual(["late", "10", "again", "55"]);
});

test("load limits - what was asked for is judged, what was not measured is not met", () => {
  const ms = { count: 1, mean: 1, p50: 1, p95: 1, p99: 8, p999: 9, max: 9 };
  const report = {
    connect: { attempts: 2, opened: 1, failed: 1, success: 0.5, ms: { ...ms, p99: null }, failures: {} },
    latencyMs: ms,
    told: { gaps: 3, gapsUnknown: 0, missed: 0, stale: 0, cadences: 0, drains: 0 },
    closed: 0,
    rate: { messagesPerSecond: 100, bytesPerSecond: 1 },
  };
  expect(judge(NO_LIMITS, report)).toEqual([]);
  const limits = { maxP99Ms: 8, maxConnectP99Ms: 38, minConnectSuccess: 1, maxGaps: 2, maxCloses: 0, minRate: 100 };
  expect(judge(limits, report).map(({ limit, met }) => `${limit} ${met}`)).toEqual([
    "min-connect-success false",
    "max-connect-p99 false",
    "max-p99 true",
    "min-rate true",
    "max-gaps false",
    "max-closes true",
  ]);
});
