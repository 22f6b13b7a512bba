import { expect, test } from "bun:test";
import { InstrumentRegistry } from "./channel/registry.ts";
import { MemoryStore } from "./config/store/memory.ts";
import { dynamicContext } from "./dynamic-context.ts";
import { systemClock } from "./lib/clock.ts";
import { silentLog } from "./lib/log.ts";
import { Dynamic } from "./node-routes.ts";

const listing = (...spellings: readonly string[]): string =>
  JSON.stringify({
    instruments: spellings.map((spelling) => ({
      market: "spot",
      spelling,
      base: "A",
      quote: "B",
      tick: "1",
      lot: "1",
    })),
  });

test("dynamic - a document that the node cannot take leaves no trace: the next one is compared with what runs", async () => {
  const registry = new InstrumentRegistry();
  registry.learn("spot", "BTC-USDT");
  const store = new MemoryStore({ text: "{}", context: dynamicContext(), clock: systemClock(), log: silentLog });
  const dynamic = await Dynamic.open("memory", store, registry);
  dynamic.watch(() => undefined);
  // A source spells it otherwise.
  store.put(listing("BTC/USDT", "ETH/USDT"));
  await dynamic.reload();
  expect(store.status()).toMatchObject({ taken: 1, refused: 1 });
  expect(dynamic.config.instruments).toEqual([]);
  expect(dynamic.isConfigured("spot", "ethusdt")).toBe(false);
  store.put(listing("ETH/USDT"));
  await dynamic.reload();
  expect(store.status()).toMatchObject({ taken: 2, error: null });
  expect(registry.find("spot", "ethusdt")?.spelling).toBe("ETH/USDT");
  dynamic.stop();
});
