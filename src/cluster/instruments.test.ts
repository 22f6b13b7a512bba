import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Instrument } from "../channel/instruments.ts";
import { InstrumentRegistry } from "../channel/registry.ts";
import { GatewayError } from "../lib/errors.ts";
import { takeInstrument } from "./instruments.ts";

const BTC: Instrument = {
  ...{ market: "spot", symbol: "btcusd", spelling: "BTC/USD", base: "BTC", quote: "USD" },
  ...{ tick: "0.1", lot: "0.01", status: "trading", inferred: true },
};
const knowing = (...instruments: readonly Instrument[]): InstrumentRegistry => {
  const registry = new InstrumentRegistry();
  for (const one of instruments) registry.add(one);
  return registry;
};
const btc = (registry: InstrumentRegistry) => registry.find("spot", "btcusd");

test("instruments - an unknown one is taken as it is told; the same again changes nothing", () => {
  const registry = knowing();
  takeInstrument(registry, BTC, false);
  expect(btc(registry)).toEqual(BTC);
  const { changes } = registry;
  takeInstrument(registry, { ...BTC }, false);
  takeInstrument(registry, { ...BTC }, true);
  expect(registry.changes).toBe(changes);
});

test("instruments - what a source told replaces what was inferred, what is inferred replaces nothing but its status", () => {
  const registry = knowing(BTC);
  takeInstrument(registry, { ...BTC, tick: "0.5", inferred: false }, false);
  expect(btc(registry)).toMatchObject({ tick: "0.5", inferred: false });
  takeInstrument(registry, { ...BTC, tick: "0.001", status: "halt" }, false);
  expect(btc(registry)).toMatchObject({ tick: "0.5", inferred: false, status: "halt" });
});

test("instruments - one that is configured or fed here is not replaced", () => {
  const fixed = { ...BTC, inferred: false };
  const registry = knowing(fixed);
  takeInstrument(registry, { ...fixed, tick: "0.5", status: "halt" }, true);
  takeInstrument(registry, { ...BTC, status: "halt" }, true);
  expect(btc(registry)).toEqual(fixed);
});

test("instruments - another spelling of the same symbol is refused by name", () => {
  const registry = knowing({ ...BTC, inferred: false });
  const other = { ...BTC, spelling: "BTC-USD", inferred: false };
  expect(() => takeInstrument(registry, other, false)).toThrow(GatewayError);
  expect(btc(registry)?.spelling).toBe("BTC/USD");
});

test("instruments - owners of different channels tell each other until both have the finest steps, and then no more", () => {
  const step = fc.integer({ min: 0, max: 6 }).map((digits) => (digits === 0 ? "1" : `0.${"0".repeat(digits - 1)}1`));
  fc.assert(
    fc.property(step, step, step, step, (tickA, lotA, tickB, lotB) => {
      const [a, b] = [knowing({ ...BTC, tick: tickA, lot: lotA }), knowing({ ...BTC, tick: tickB, lot: lotB })];
      for (let round = 0; round < 2; round++) {
        takeInstrument(a, btc(b) as Instrument, true);
        takeInstrument(b, btc(a) as Instrument, true);
      }
      expect(btc(a)).toEqual(btc(b) as Instrument);
      const before = a.changes + b.changes;
      takeInstrument(a, btc(b) as Instrument, true);
      takeInstrument(b, btc(a) as Instrument, true);
      expect(a.changes + b.changes).toBe(before);
    }),
    { numRuns: 50 },
  );
});
