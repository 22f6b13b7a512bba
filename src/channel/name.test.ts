import { expect, test } from "bun:test";
import fc from "fast-check";
import { channelName, NAME_LENGTH_MAX, parseChannelName, symbolOf } from "./name.ts";

test("name - taken apart", () => {
  expect(parseChannelName("btcusdt@depth", "spot")).toEqual({ market: "spot", symbol: "btcusdt", stream: "depth" });
  expect(parseChannelName("usdm:btcusdt@markPrice", "spot")).toEqual({
    market: "usdm",
    symbol: "btcusdt",
    stream: "markPrice",
  });
  expect(parseChannelName("spot:btcusdt@kline_1M", "spot")?.stream).toBe("kline_1M");
  expect(parseChannelName("balance", "spot")).toEqual({ market: "", symbol: "", stream: "balance" });
  expect(parseChannelName("币安人生usdt@trade", "spot")?.symbol).toBe("币安人生usdt");
});

test("name - malformed ones are null", () => {
  const bad = ["", "@", "@depth", "btcusdt@", "BTCUSDT@depth", "SPOT:btcusdt@depth", ":btcusdt@depth", "a:b:c@depth"];
  bad.push("btc/usdt@depth", "btcusdt@depth@100ms", "btc usdt@depth", "btcusdt@de pth", "usdm:balance", "a\n@depth");
  for (const name of bad) expect(parseChannelName(name, "spot")).toBeNull();
  expect(parseChannelName(`${"a".repeat(NAME_LENGTH_MAX - 6)}@depth`, "spot")).not.toBeNull();
  expect(parseChannelName(`${"a".repeat(NAME_LENGTH_MAX - 5)}@depth`, "spot")).toBeNull();
});

test("name - the canonical form has no prefix for the default market, and parses back", () => {
  expect(channelName("spot", "btcusdt", "depth", "spot")).toBe("btcusdt@depth");
  expect(channelName("spot", "btcusdt", "depth", "usdm")).toBe("spot:btcusdt@depth");
  expect(channelName("", "", "balance", "spot")).toBe("balance");
  const word = fc.stringMatching(/^[a-z0-9]{1,10}$/);
  fc.assert(
    fc.property(word, word, fc.stringMatching(/^[A-Za-z0-9_]{1,10}$/), word, (market, symbol, stream, byDefault) => {
      const name = channelName(market, symbol, stream, byDefault);
      expect(parseChannelName(name, byDefault)).toEqual({ market, symbol, stream });
    }),
  );
});

test("name - symbols collapse spellings", () => {
  expect(symbolOf("BTC/USD")).toBe("btcusd");
  expect(symbolOf("KSM/XBT")).toBe("ksmxbt");
  expect(symbolOf("BTC-USD-220527")).toBe("btcusd220527");
  expect(symbolOf("btc_usd")).toBe("btcusd");
});
