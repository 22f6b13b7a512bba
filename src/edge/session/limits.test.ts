/** Command rates with an injected clock. */
import { expect, test } from "bun:test";
import { DEFAULT_LIMITS, type EndpointConfig } from "../config.ts";
import { admit, admitPing } from "./limits.ts";
import { Session, type Wire } from "./session.ts";

function sessionOf(dialect: "native" | "binance", market: string): Session {
  const endpoint: EndpointConfig = { path: "/x", dialect, market, scope: "public" };
  return new Session({ endpoint, dialect: { name: dialect } } as Wire, [], 0);
}

const verdicts = (session: Session, times: readonly number[]) =>
  times.map((nowMs) => admit(session, DEFAULT_LIMITS, nowMs));

test("limits - bucket: the burst passes, then perSecond, and refusals in a row end in a close", () => {
  const session = sessionOf("native", "spot");
  expect(new Set(verdicts(session, new Array(100).fill(0)))).toEqual(new Set(["pass"]));
  expect(verdicts(session, [0, 19, 20, 21])).toEqual(["refuse", "refuse", "pass", "refuse"]);
  // One second is 50 more.
  const second = verdicts(session, new Array(60).fill(1021));
  expect(second.filter((verdict) => verdict === "pass").length).toBe(50);
  expect(verdicts(session, new Array(100).fill(1021)).at(-1)).toBe("close");
});

test("limits - bucket: after a rest it is as if nothing had been", () => {
  const session = sessionOf("native", "spot");
  verdicts(session, new Array(150).fill(0));
  expect(session.rate?.fresh(1000)).toBe(false);
  expect(session.rate?.fresh(2000)).toBe(true);
  expect(verdicts(session, new Array(200).fill(10_000)).at(-1)).toBe("refuse");
});

test("limits - window: the frame after perSecond within any rolling second closes", () => {
  const session = sessionOf("binance", "spot");
  expect(verdicts(session, [0, 900, 900, 900, 900])).toEqual(new Array(5).fill("pass"));
  expect(verdicts(session, [999])).toEqual(["close"]);
  expect(verdicts(session, [1000])).toEqual(["pass"]);
  // Four at 900 and one at 1000 are within the second before 1899.
  expect(verdicts(session, [1899, 1900])).toEqual(["close", "pass"]);
});

test("limits - window: USD-M allows ten, an unnamed market what spot allows", () => {
  expect(verdicts(sessionOf("binance", "usdm"), new Array(11).fill(0)).indexOf("close")).toBe(10);
  expect(verdicts(sessionOf("binance", "coinm"), new Array(11).fill(0)).indexOf("close")).toBe(5);
});

test("limits - pongs count where every frame does, and nowhere else", () => {
  const native = sessionOf("native", "spot");
  for (let i = 0; i < 1000; i++) expect(admitPing(native, DEFAULT_LIMITS, 0, true)).toBe("pass");
  expect(native.rate).toBeNull();
  const binance = sessionOf("binance", "spot");
  for (let i = 0; i < 5; i++) expect(admitPing(binance, DEFAULT_LIMITS, 0, true)).toBe("pass");
  expect(admitPing(binance, DEFAULT_LIMITS, 0, true)).toBe("close");
});
