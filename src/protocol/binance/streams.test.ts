import { expect, test } from "bun:test";
import { binance } from "./mod.ts";
import { findStream, isWellFormed } from "./streams.ts";

const spot: readonly (readonly [name: string, channel: string, rung: number])[] = [
  ["btcusdt@trade", "btcusdt@trade", 0],
  ["btcusdt@aggTrade", "btcusdt@aggTrade", 0],
  ["btcusdt@bookTicker", "btcusdt@bookTicker", 0],
  ["btcusdt@depth", "btcusdt@depth", 1000],
  ["btcusdt@depth@1000ms", "btcusdt@depth", 1000],
  ["btcusdt@depth@100ms", "btcusdt@depth", 100],
  ["btcusdt@depth5", "btcusdt@depth5", 1000],
  ["btcusdt@depth10@1000ms", "btcusdt@depth10", 1000],
  ["btcusdt@depth20@100ms", "btcusdt@depth20", 100],
  ["btcusdt@ticker", "btcusdt@ticker", 1000],
  ["btcusdt@miniTicker", "btcusdt@miniTicker", 1000],
  ["btcusdt@kline_1s", "btcusdt@kline_1s", 1000],
  ["btcusdt@kline_1m", "btcusdt@kline_1m", 2000],
  ["btcusdt@kline_1M", "btcusdt@kline_1M", 2000],
  ["btcusdt@kline_4h@+08:00", "btcusdt@kline_4h", 2000],
  ["btcusdt@kline_8h@+08:00", "btcusdt@kline_8h", 2000],
  ["btcusdt@kline_6h@+08:00", "btcusdt@kline_6h_utc8", 2000],
  ["btcusdt@kline_1M@+08:00", "btcusdt@kline_1M_utc8", 2000],
  ["btcusdt@avgPrice", "btcusdt@avgPrice", 1000],
  ["btcusdt@ticker_1h", "btcusdt@ticker_1h", 1000],
  ["btcusdt@ticker_1d", "btcusdt@ticker_1d", 1000],
  ["!miniTicker@arr", "!miniTicker@arr", 1000],
  ["!miniTicker@arr@1000ms", "!miniTicker@arr", 1000],
  ["!miniTicker@arr@3000ms", "!miniTicker@arr", 3000],
  ["!ticker@arr", "!ticker@arr", 1000],
  ["!ticker_4h@arr", "!ticker_4h@arr", 1000],
];

const usdm: readonly (readonly [name: string, channel: string, rung: number])[] = [
  ["btcusdt@trade", "usdm:btcusdt@trade", 0],
  ["btcusdt@bookTicker", "usdm:btcusdt@bookTicker", 0],
  ["btcusdt@aggTrade", "usdm:btcusdt@aggTrade", 100],
  ["btcusdt@depth", "usdm:btcusdt@depth", 250],
  ["btcusdt@depth@250ms", "usdm:btcusdt@depth", 250],
  ["btcusdt@depth@500ms", "usdm:btcusdt@depth", 500],
  ["btcusdt@depth5@100ms", "usdm:btcusdt@depth5", 100],
  ["btcusdt@kline_1m", "usdm:btcusdt@kline_1m", 250],
  ["btcusdt@ticker", "usdm:btcusdt@ticker", 2000],
  ["btcusdt@miniTicker", "usdm:btcusdt@miniTicker", 2000],
  ["btcusdt@markPrice", "usdm:btcusdt@markPrice", 3000],
  ["btcusdt@markPrice@1s", "usdm:btcusdt@markPrice", 1000],
  ["btcusdt@forceOrder", "usdm:btcusdt@forceOrder", 1000],
  ["btcusdt_perpetual@continuousKline_1h", "usdm:btcusdt@continuousKline_1h", 250],
  ["!bookTicker", "usdm:!bookTicker", 0],
  ["!ticker@arr", "usdm:!ticker@arr", 2000],
  ["!miniTicker@arr", "usdm:!miniTicker@arr", 2000],
  ["!markPrice@arr", "usdm:!markPrice@arr", 3000],
  ["!markPrice@arr@1s", "usdm:!markPrice@arr", 1000],
  ["!forceOrder@arr", "usdm:!forceOrder@arr", 1000],
  ["!contractInfo", "usdm:!contractInfo", 0],
];

for (const [market, table] of [
  ["spot", spot],
  ["usdm", usdm],
] as const) {
  for (const [asked, channel, rung] of table) {
    test(`binance streams - ${market} ${asked} is ${channel} at ${rung} ms`, () => {
      expect(findStream(market, asked)).toEqual({ asked, channel, rung: rung as 0, since: null });
    });
  }
}

test("binance streams - what the market does not have is no stream, and no error", () => {
  const names = [
    ...[
      "0",
      "btcusdt",
      "@trade",
      "btcusdt@",
      "BTCUSDT@trade",
      "btcusdt@TRADE",
      "btcusdt@depth50",
      "btcusdt@depth@50ms",
    ],
    ...["btcusdt@trade@100ms", "btcusdt@kline_7m", "btcusdt@kline_1m@+07:00", "!markPrice@arr", "usdm:btcusdt@trade"],
    ...["!bookTicker", "!bookTicker@arr", "!", "btcusdt@kline_1d_utc8", "btcusdt_perpetual@continuousKline_1m"],
    ...["btcusdt@markPrice", "btcusdt@__proto__", "__proto__@trade@", "btcusdt@constructor", "btcusdt@depth@500ms"],
  ];
  for (const name of names) {
    expect(isWellFormed(name)).toBe(true);
    expect(findStream("spot", name)).toBeNull();
  }
  for (const name of ["btcusdt@kline_1s", "btcusdt@avgPrice", "btcusdt@ticker_1h", "btcusdt@kline_1d@+08:00"]) {
    expect(findStream("usdm", name)).toBeNull();
  }
  for (const name of ["btcusdt@continuousKline_1m", "btcusdt_current_quarter@continuousKline_1m", "_perpetual@trade"]) {
    expect(findStream("usdm", name)).toBeNull();
  }
  expect(findStream("coinm", "btcusdt@trade")).toBeNull();
});

const routed: readonly (readonly [route: string, names: readonly string[]])[] = [
  ["public", ["s@bookTicker", "!bookTicker", "s@depth", "s@depth@100ms", "s@depth20@500ms"]],
  [
    "market",
    [
      ...["s@aggTrade", "s@markPrice", "s@markPrice@1s", "!markPrice@arr", "!markPrice@arr@1s", "s@kline_1m"],
      ...["s_perpetual@continuousKline_1m", "s@miniTicker", "!miniTicker@arr", "s@ticker", "!ticker@arr"],
      ...["s@forceOrder", "!forceOrder@arr", "!contractInfo"],
    ],
  ],
];

for (const [route, names] of routed) {
  test(`binance streams - USD-M streams of /${route} are found there and nowhere else`, () => {
    for (const name of names) {
      for (const other of ["public", "market", "private"]) {
        expect([name, other, findStream("usdm", name, other) !== null]).toEqual([name, other, other === route]);
      }
    }
  });
}

test("binance streams - USD-M trades are on both routes, and what is from before the split has all of them", () => {
  const found = (route: string) => findStream("usdm", "s@trade", route) !== null;
  expect(["public", "market", "private", "usdm"].map(found)).toEqual([true, true, false, true]);
  for (const name of routed.flatMap(([, names]) => names)) expect(findStream("usdm", name, "usdm")).not.toBeNull();
});

test("binance streams - malformed names", () => {
  for (const name of ["", " ", "a b", "a\tb", "a\u0000", 'a"b', "a\\b", "x".repeat(129), 5, null, ["a"], undefined]) {
    expect(isWellFormed(name)).toBe(false);
  }
});

const open = (url: string, market = "spot") => {
  const at = url.indexOf("?");
  const path = at < 0 ? url : url.slice(0, at);
  return binance.open(market, path, new URLSearchParams(at < 0 ? "" : url.slice(at + 1)));
};

const urls: readonly (readonly [url: string, combined: boolean, timeUnit: string, asked: readonly string[]])[] = [
  ["/ws", false, "ms", []],
  ["/ws/", false, "ms", []],
  ["/ws/0", false, "ms", []],
  ["/ws/btcusdt@trade", false, "ms", ["btcusdt@trade"]],
  ["/ws/btcusdt@trade/ethusdt@depth@100ms/nosuch", false, "ms", ["btcusdt@trade", "ethusdt@depth@100ms"]],
  ["/ws/btcusdt%40trade", false, "ms", ["btcusdt@trade"]],
  ["/ws/%E0%A4%A", false, "ms", []],
  ["/ws/BTCUSDT@trade/%22/%00", false, "ms", []],
  ["/stream", true, "ms", []],
  ["/stream?streams=", true, "ms", []],
  ["/stream?streams=btcusdt@trade/btcusdt@trade/ethusdt@ticker", true, "ms", ["btcusdt@trade", "ethusdt@ticker"]],
  ["/stream?streams=btcusdt@trade&timeUnit=MICROSECOND", true, "us", ["btcusdt@trade"]],
  ["/ws/btcusdt@trade?timeUnit=microsecond", false, "us", ["btcusdt@trade"]],
  ["/ws?timeUnit=millisecond", false, "ms", []],
  ["/stream-spot/ws/0", false, "ms", []],
  ["/stream?streams=btcusdt@kline_1d@+08:00/btcusdt@trade", true, "ms", ["btcusdt@kline_1d@+08:00", "btcusdt@trade"]],
  ["/stream?streams=btcusdt@kline_1d@%2B08:00", true, "ms", ["btcusdt@kline_1d@+08:00"]],
  ["/ws/btcusdt@kline_1d@+08:00", false, "ms", ["btcusdt@kline_1d@+08:00"]],
  ["/stream-spot/stream?streams=btcusdt@trade", true, "ms", ["btcusdt@trade"]],
];

for (const [url, combined, timeUnit, asked] of urls) {
  test(`binance open - ${url}`, () => {
    const opening = open(url);
    if (typeof opening === "string") throw new Error(opening);
    expect(opening).toMatchObject({ market: "spot", form: { dialect: "binance", timeUnit }, combined });
    expect(opening.streams.map((stream) => stream.asked)).toEqual([...asked]);
  });
}

test("binance open - USD-M below a routed prefix, always in milliseconds", () => {
  expect(open("/public/ws/btcusdt@depth?timeUnit=microsecond", "usdm")).toMatchObject({
    form: { timeUnit: "ms" },
    combined: false,
    streams: [{ asked: "btcusdt@depth", channel: "usdm:btcusdt@depth", rung: 250 }],
  });
});

test("binance open - a USD-M path says its route; without one it is public", () => {
  const route = (path: string) => {
    const opening = open(`${path}?streams=btcusdt@depth/btcusdt@kline_1m`, "usdm");
    if (typeof opening === "string") throw new Error(opening);
    return [opening.route, ...opening.streams.map(({ asked }) => asked)];
  };
  expect(route("/public/stream")).toEqual(["public", "btcusdt@depth"]);
  expect(route("/market/stream")).toEqual(["market", "btcusdt@kline_1m"]);
  expect(route("/private/stream")).toEqual(["private"]);
  expect(route("/fstream/stream")).toEqual(["public", "btcusdt@depth"]);
  expect(route("/fstream/market/ws/0")).toEqual(["market", "btcusdt@kline_1m"]);
  expect(route("/usdm/stream")).toEqual(["usdm", "btcusdt@depth", "btcusdt@kline_1m"]);
  expect(open("/ws")).not.toHaveProperty("route");
});

test("binance open - what is refused, and why", () => {
  expect(open("/ws?timeUnit=nanosecond")).toBe(
    "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
  );
  expect(open("/ws?timeUnit=constructor")).toContain("time unit");
  expect(open("/elsewhere")).toBe("unknown path: use /ws, /ws/<stream>/.. or /stream?streams=<stream>/..");
  const names = Array.from({ length: 1025 }, (_, i) => `symbol${i}@depth@100ms`);
  expect(open(`/stream?streams=${names.join("/")}`)).toBe("too many streams: 1025 in the URL, the most is 1024");
});

test("binance open - 1,024 streams in a URL of 24 KiB", () => {
  const names = Array.from({ length: 1024 }, (_, i) => `symbol${10000 + i}@depth@100ms`);
  const opening = open(`/stream?streams=${names.join("/")}`);
  if (typeof opening === "string") throw new Error(opening);
  expect(opening.streams.map((stream) => stream.asked)).toEqual(names);
});
