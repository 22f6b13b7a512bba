import { expect, test } from "bun:test";
import { InstrumentRegistry } from "../../channel/registry.ts";
import { createKrakenV1 } from "./kraken-v1.ts";
import { learnInto } from "./learn.ts";

test("learn - a mapper's pair becomes an instrument with Kraken's own symbol", () => {
  const registry = new InstrumentRegistry();
  const mapper = createKrakenV1(learnInto(registry, () => undefined));
  mapper.map(`[1,{"b":[["1.0","1.0","1.0"]]},"book-10","KSM/XBT"]`);
  expect(registry.bySpelling("spot", "KSM/XBT")).toMatchObject({ symbol: "ksmxbt", base: "KSM", quote: "XBT" });
  expect(registry.resolve("ksmxbt@depth")?.name).toBe("ksmxbt@depth");
});

test("learn - outside the default market the name has its prefix", () => {
  expect(learnInto(new InstrumentRegistry("usdm"), () => undefined)("spot", "A/B")).toBe("spot:ab");
});

test("learn - a spelling that collapses to another's symbol is refused, told once by name", () => {
  const told: string[] = [];
  const learn = learnInto(new InstrumentRegistry(), (error) => void told.push(error.message));
  expect(learn("spot", "AB/C")).toBe("abc");
  expect(learn("spot", "A/BC")).toBeNull();
  expect(learn("spot", "A/BC")).toBeNull();
  expect(learn("spot", "///")).toBeNull();
  expect(told).toHaveLength(2);
  expect(told[0]).toContain(`"A/BC" and "AB/C" both make the symbol abc`);
});
