import { expect, test } from "bun:test";
import type { StateReply } from "../bus/bus.ts";
import { InstrumentRegistry } from "../channel/registry.ts";
import type { Publication } from "../channel/types.ts";
import { createFakeClock } from "../lib/fake-clock.ts";
import { followInstruments } from "./instrument-channel.ts";

test("instruments - each one that is added or changes, in any market, in a chain of its own; nothing once it is closed", () => {
  const registry = new InstrumentRegistry();
  registry.learn("spot", "BTCUSDT");
  const clock = createFakeClock(1_795_321_300_000_000);
  const states: StateReply[] = [];
  const told: Publication[] = [];
  const never = () => {
    throw new Error("it is never in doubt");
  };
  const consumer = {
    state: (reply: StateReply) => void states.push(reply),
    publication: (publication: Publication) => void told.push(publication),
    stale: never,
    fresh: never,
    unavailable: never,
  };
  const channel = registry.resolve("instrument")!;
  const following = followInstruments(channel, consumer, registry, clock);
  expect(states).toMatchObject([{ channel: "instrument", seq: null, state: null, stale: false }]);
  clock.advance(5);
  registry.learn("usdm", "ETHUSDT");
  registry.update("spot", "btcusdt", { status: "halt" });
  registry.update("spot", "btcusdt", { status: "halt" });
  following.close();
  registry.update("spot", "btcusdt", { status: "trading" });
  expect(told.map(({ prev, seq, time, type }) => [type, prev, seq, time])).toEqual([
    ["items", null, 1, 1_795_321_300_005],
    ["items", 1, 2, 1_795_321_300_005],
  ]);
  const items = told.flatMap(({ data }) => (data as { json: string }[]).map(({ json }) => JSON.parse(json)));
  expect(items).toMatchObject([
    { market: "usdm", symbol: "ethusdt", status: "trading" },
    { market: "spot", symbol: "btcusdt", spelling: "BTCUSDT", base: "BTC", quote: "USDT", status: "halt" },
  ]);
});
