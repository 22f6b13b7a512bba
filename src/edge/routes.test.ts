/** Paths and wires. */
import { expect, test } from "bun:test";
import { binance } from "../protocol/binance/mod.ts";
import { native } from "../protocol/native/mod.ts";
import { DEFAULT_ENDPOINTS, DEFAULT_REST } from "./config.ts";
import { Routes } from "./routes.ts";

const routes = new Routes(DEFAULT_ENDPOINTS, DEFAULT_REST, { native, binance });
const prefix = (path: string) => routes.match(path)?.path ?? null;

function door(path: string) {
  const url = new URL(path, "ws://x");
  const route = routes.match(url.pathname);
  if (route?.is !== "ws") throw new Error(`${path} is no WebSocket path`);
  const found = routes.open(route.endpoint, url.pathname, url.searchParams);
  if (typeof found === "string") throw new Error(found);
  return found;
}

test("routes - the longest prefix wins, at segment borders", () => {
  expect(prefix("/ws/quote/v1")).toBe("/ws/quote/v1");
  expect(prefix("/ws/quote/v1/x")).toBe("/ws/quote/v1");
  expect(prefix("/ws/quote")).toBe("/ws");
  expect(prefix("/ws")).toBe("/ws");
  expect(prefix("/ws/0")).toBe("/ws");
  expect(prefix("/stream-spot/ws/0")).toBe("/stream-spot");
  expect(prefix("/stream")).toBe("/stream");
  expect(prefix("/streams")).toBeNull();
  expect(prefix("/wsx")).toBeNull();
  expect(prefix("/")).toBeNull();
  expect(prefix("/api/v3/depth")).toBe("/api/v3");
});

test("routes - another version of an endpoint is unknown, not a Binance path with odd streams", () => {
  for (const path of ["/ws/quote/v2", "/ws/quote/v0", "/ws/quote/v10"]) expect(prefix(path)).toBeNull();
  expect(prefix("/ws/v2")).toBe("/ws");
  expect(prefix("/ws/quote/v")).toBe("/ws");
});

test("routes - sessions share one wire per endpoint, time unit and envelope", () => {
  expect(door("/ws/btcusdt@trade").wire).toBe(door("/ws").wire);
  expect(door("/ws").wire.opening).toMatchObject({ combined: false, market: "spot", streams: [] });
  expect(door("/ws?timeUnit=MICROSECOND").wire).not.toBe(door("/ws").wire);
  const combined = door("/stream-spot/stream").wire;
  expect(combined.other()).toBe(door("/stream-spot/ws/7").wire);
  expect(combined.other().other()).toBe(combined);
});

test("routes - the URL's streams belong to the session, not to the wire", () => {
  const { streams, wire } = door("/stream?streams=btcusdt@trade/ethusdt@depth@100ms");
  expect(streams.map(({ asked, channel, rung }) => [asked, channel, rung])).toEqual([
    ["btcusdt@trade", "btcusdt@trade", 0],
    ["ethusdt@depth@100ms", "ethusdt@depth", 100],
  ]);
  expect(wire.opening.streams).toEqual([]);
});
