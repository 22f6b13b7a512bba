/** Holds every example and the code table of docs/protocol.md against the code. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { binance, binanceEncoder } from "./binance/mod.ts";
import { withCodesTable } from "./codes-table.ts";
import type { Command, Dialect, StreamError, StreamOutcome } from "./dialect.ts";
import type { ChannelEncoder, Stamp } from "./encoder.ts";
import { native, nativeEncoder } from "./native/mod.ts";
import { AT, CANDLE, channelFor, TOP, TRADE } from "./testing.ts";

const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");

/** Lines of the fenced blocks of one language, in order. */
function lines(language: string): string[] {
  const blocks = [...page.matchAll(/^```(\S+)\n([\s\S]*?)^```$/gm)].filter((match) => match[1] === language);
  return blocks.flatMap((match) => match[2]!.trimEnd().split("\n"));
}

const sent = (language: string): string[] =>
  lines(language).flatMap((line) => (line[0] === ">" ? [line.slice(2)] : []));
const got = (language: string): string[] => lines(language).flatMap((line) => (line[0] === "<" ? [line.slice(2)] : []));

function open(dialect: Dialect, path: string) {
  const opening = dialect.open("spot", path, new URLSearchParams());
  if (typeof opening === "string") throw new Error(opening);
  return opening;
}

function nativeFrames(): (string | null)[] {
  const at: Stamp = { prev: 8130, from: 8131, seq: 8134, time: 1795321303824, sentUs: 1795321303826123, epoch: null };
  const depth: StreamOutcome = { asked: "btcusdt@depth", epoch: "k7", seq: 8130, rung: 100, recovered: true };
  const trade: StreamOutcome = { asked: "btcusdt@trade", epoch: "k7", seq: 99, rung: 100, recovered: false };
  const unknown: StreamError = { asked: "foo@bar", code: 1203, message: "unknown channel" };
  const form = { dialect: "native", timeUnit: "ms" } as const;
  const push = (
    kind: "depth" | "trade" | "bookTicker" | "kline",
    say: (encoder: ChannelEncoder) => readonly string[],
  ) => {
    const channel = channelFor(kind, "spot", "btcusdt");
    const { before, after } = native.envelope(channel.name, false);
    return say(nativeEncoder(channel, form)).map((payload) => before + payload + after);
  };
  const book = { bids: [["2750.83", "3.1"]], asks: [["2750.85", "2.2"]] } as const;
  const changed = {
    bids: [
      ["2750.83", "0"],
      ["2750.80", "1.50"],
    ],
    asks: [],
  } as const;
  return [
    native.subscribed(1, [trade, depth], []),
    native.subscribed(2, [{ ...depth, rung: 0, recovered: false }], [unknown]),
    native.subscribed(3, [], [unknown]),
    native.unsubscribed(4, ["btcusdt@trade"]),
    native.subscriptions(5, [depth]),
    native.pong(6),
    native.cadenceAccepted(7, "btcusdt@depth", 250),
    native.cadenceChanged("btcusdt@depth", 250, "client"),
    native.subscribed(8, [{ ...depth, seq: 8140, rung: 250, recovered: false }], []),
    ...push("depth", (depths) => depths.snapshot({ ...at, prev: null, seq: 8130, epoch: "k7" }, book, null)),
    ...push("depth", (depths) => depths.delta(at, changed)),
    ...push("bookTicker", (values) => values.value(at, TOP, null)),
    ...push("kline", (klines) => klines.candles(at, [CANDLE])),
    ...push("trade", (trades) => trades.items({ ...at, prev: 99, seq: 101 }, [TRADE])),
    ...push("trade", (trades) => trades.gap({ ...at, from: 102, seq: 118 }, { missed: 17, reason: "slow" })),
    ...push("depth", (depths) => depths.stale()),
    ...push("depth", (depths) => depths.snapshot({ ...at, prev: 8134, seq: 8190, epoch: "k7" }, book, changed)),
    ...push("trade", (trades) =>
      trades.gap({ ...at, from: 8200, seq: 8200, epoch: "k8" }, { missed: null, reason: "epoch" }),
    ),
    native.subscribed(13, [{ ...trade, rung: 0, recovered: true }], []),
    ...push("trade", (trades) =>
      trades.items({ ...at, prev: 95, seq: 99 }, [{ ...TRADE, id: "551200", time: TRADE.time - 2 }, TRADE]),
    ),
    native.cadenceChanged("btcusdt@depth", 250, "slow"),
    native.drain(open(native, "/ws/quote/v1"), 0, 5000),
  ];
}

function binanceFrames(): (string | null)[] {
  const form = { dialect: "binance", timeUnit: "ms" } as const;
  const encoder = (kind: "trade" | "depth" | "bookTicker") => binanceEncoder(channelFor(kind), form);
  const delta = { bids: [["2750.83", "3.1"]], asks: [["2750.85", "0.00000000"]] } as const;
  return [
    binance.subscribed(7, [], []),
    binance.unsubscribed(8, []),
    binance.subscriptions(9, [{ asked: "ethusdt@depth@100ms", epoch: "k7", seq: 1, rung: 100, recovered: false }]),
    binance.property(10, null),
    binance.property(11, true),
    ...encoder("trade").items(AT, [TRADE]),
    ...encoder("depth").delta(AT, delta),
    ...encoder("bookTicker").value(AT, TOP, null),
    binance.drain(open(binance, "/ws"), 1795321303000, 0),
  ];
}

for (const [language, dialect, path, frames] of [
  ["wire", native, "/ws/quote/v1", nativeFrames()],
  ["wire-binance", binance, "/ws", binanceFrames()],
] as const) {
  const decode = (frame: string): Command => dialect.decode(frame, open(dialect, path));
  const refusals = sent(language).flatMap((frame) => {
    const command = decode(frame);
    return command.op === "refused" ? [command.frame] : [];
  });

  test(`protocol page - what the ${dialect.name} examples show is what the code says, and nothing is left out`, () => {
    const shown = got(language);
    expect(shown.length).toBeGreaterThan(5);
    expect([...shown].sort()).toEqual([...frames.map(String), ...refusals].sort());
  });

  test(`protocol page - the ${dialect.name} examples hold one of every command`, () => {
    const ops = new Set(sent(language).map((frame) => decode(frame).op));
    const all =
      dialect === native
        ? ["subscribe", "unsubscribe", "subscriptions", "ping", "resync", "cadence", "refused"]
        : ["subscribe", "unsubscribe", "subscriptions", "setCombined", "getCombined", "refused"];
    expect([...ops].sort()).toEqual(all.sort() as Command["op"][]);
  });
}

test("protocol page - the table of codes is the one in codes.ts (else run bun scripts/print-codes.ts)", () => {
  expect(page).toBe(withCodesTable(page));
});
