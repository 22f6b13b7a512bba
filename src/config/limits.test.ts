/** The settings `limits` and `topics`: what is taken, what is refused, and in which words. */
import { expect, test } from "bun:test";
import { DEFAULT_LIMITS } from "../edge/config.ts";
import { GatewayError } from "../lib/errors.ts";
import { sessionsMaxOf } from "./limits.ts";
import { loadStaticConfig } from "./load.ts";

function load(content: unknown, flags: Record<string, string> = {}, openFilesMax: number | null = null) {
  const world = {
    cwd: "/here",
    hostname: "host",
    cores: 2,
    openFilesMax,
    readFile: () => JSON.stringify(content),
    isFile: () => false,
  };
  const loaded = loadStaticConfig({ config: "c.json", ...flags }, {}, world);
  return { ...loaded.config, warnings: loaded.warnings };
}

function refusal(content: unknown, flags: Record<string, string> = {}): string {
  try {
    load(content, flags);
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    return (error as GatewayError).message;
  }
  throw new Error("nothing was refused");
}

const limits = (content: unknown) => refusal({ limits: content });
const topics = (...content: unknown[]) => refusal({ topics: content });

test("limits - one field changes that field alone", () => {
  const { limits } = load({
    limits: { commands: { binance: { usdm: { perSecond: 20 } } }, connects: { perSecond: 0.5 }, deny: ["::/0"] },
  });
  expect(limits).toEqual({
    ...DEFAULT_LIMITS,
    commands: {
      ...DEFAULT_LIMITS.commands,
      binance: { ...DEFAULT_LIMITS.commands.binance, usdm: { is: "window", perSecond: 20 } },
    },
    connects: { perSecond: 0.5, burst: DEFAULT_LIMITS.connects.burst },
    deny: ["::/0"],
  });
});

test("limits - sessions of the node follow the files it may open, unless they are set", () => {
  expect([null, 20_000, 1024, 300, 10].map(sessionsMaxOf)).toEqual([0, 19_000, 768, 44, 1]);
  expect(load({}, {}, 20_000).limits.sessionsMax).toBe(19_000);
  expect(load({ limits: { sessionsMax: 0 } }, {}, 20_000).limits.sessionsMax).toBe(0);
  expect(load({}, { sessionsMax: "7" }, 20_000).limits.sessionsMax).toBe(7);
  expect(load({}, { sessionsMax: "20000" }, 20_000).warnings).toEqual([]);
  expect(load({}, { sessionsMax: "30000" }, 20_000).warnings).toEqual([
    "--sessions-max is 30000, but this process may open 20000 files: raise that (ulimit -n)",
  ]);
});

test("limits - a refusal names the field and what it wants", () => {
  expect(limits({ sessionMax: 1 })).toBe('c.json: limits.sessionMax: no such field, did you mean "sessionsMax"?');
  expect(limits({ frameBytesMax: 1 })).toBe(
    "c.json: limits.frameBytesMax: 1 is wrong, want a whole number from 64 to 1073741824, in bytes",
  );
  expect(limits({ connects: { burst: 1.5 } })).toStartWith("c.json: limits.connects.burst: 1.5 is wrong, want a whole");
  expect(limits({ deny: ["10.0.0.0/8", "10/8"] })).toBe(
    'c.json: limits.deny.1: "10/8" is wrong, want an address or a range such as 10.0.0.0/8 or 2001:db8::/32',
  );
  expect(limits({ origins: ["a.b"] })).toContain("want an origin such as https://app.example.com");
  expect(limits([])).toContain("c.json: limits: [] is wrong, want an object of limits");
  expect(refusal({}, { trustedProxies: "me" })).toBe(
    '--trusted-proxies: "me" is wrong, want an address or a range such as 10.0.0.0/8 or 2001:db8::/32',
  );
});

test("limits - relations between two limits name the one that was set", () => {
  expect(limits({ outboxBytesMax: 5000 })).toBe(
    "c.json: limits.outboxBytesMax: 5000 is wrong, want limits.outboxBytesHigh below limits.outboxBytesMax",
  );
  expect(refusal({}, { pingAfterMs: "70000" })).toStartWith("--ping-after-ms: 70000 is wrong, want limits.pingAfterMs");
  expect(limits({ connects: { perSecond: 0.001 } })).toContain("limits.connects.perSecond: 0.001 is wrong");
});

test("topics - the list as DESIGN has it loads, and what is left out stays out", () => {
  const list = [
    { version: 1, topic: "btcusdt@trade", rate: 20, burst: 60, auth: "public" },
    { version: 1, topic: "btcusdt@depth", auth: "public" },
    { version: 1, topic: "balance", rate: 20, burst: 60, auth: "private" },
    { topic: "{symbol}@trade", onSlow: "gap", history: { count: 10, seconds: 2.5 } },
  ];
  expect(load({ topics: list }).topics).toEqual(list as never);
});

test("topics - a refusal names the entry, its field and what it wants", () => {
  expect(topics({ topic: "btcusdt@trade", rat: 1 })).toContain("topics.0.rat: no such field");
  expect(topics({ topic: "a@b" }, { topic: "BTC@depth" })).toStartWith('c.json: topics.1.topic: "BTC@depth" is wrong');
  expect(topics({ topic: "a@b", rate: 0.2 })).toBe(
    "c.json: topics.0.rate: 0.2 is wrong, want a number of flushes per second from 0.34 to 1000",
  );
  expect(topics({ topic: "a@b", burst: 5 })).toBe("c.json: topics.0.burst: 5 is wrong, want rate beside burst");
  expect(topics({ topic: "a@b", onSlow: "close" })).toContain("want wait or gap");
  expect(topics({ rate: 5 })).toContain("c.json: topics.0.topic: is missing, want a channel name");
  expect(topics({ topic: "a@b" }, { topic: "spot:a@b" })).toBe(
    'c.json: topics.1.topic: "spot:a@b" stands there twice, leave one out',
  );
  expect(refusal({ topics: {} })).toContain("want a list of topics");
});
