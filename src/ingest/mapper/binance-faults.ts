/** Which field of a Binance event its mapper (binance.ts) does not take; asked only for an event that is malformed. */

import { INTERVALS } from "../../channel/kinds.ts";
import { blame, type Form } from "./blame.ts";
import type { Fields } from "./fields.ts";

const MINI: Form = { o: "amount", h: "amount", l: "amount", c: "amount", v: "amount", q: "amount" };
const BEST: Form = { b: "amount", B: "amount", a: "amount", A: "amount" };
const BOOK: Form = { lastUpdateId: "whole", bids: "levels", asks: "levels" };

const FORMS: Readonly<Record<string, Form>> = {
  trade: { t: "whole", p: "amount", q: "amount", T: "whole" },
  aggTrade: { a: "whole", p: "amount", q: "amount", f: "whole", l: "whole", T: "whole" },
  "24hrMiniTicker": MINI,
  "24hrTicker": {
    ...MINI,
    ...{ O: "whole", C: "whole", p: "text", P: "text", w: "amount", Q: "amount" },
    ...{ F: "whole", L: "whole", n: "whole" },
  },
  bookTicker: BEST,
  markPriceUpdate: { p: "amount", ap: "amount??", i: "amount", P: "amount", r: "text", T: "whole" },
  book: BOOK,
};

/** Of events that hold an object: where it stands, and what it must have. */
const NESTED: Readonly<Record<string, readonly [string, Form]>> = {
  kline: [
    "k",
    {
      i: INTERVALS,
      ...MINI,
      V: "amount",
      Q: "amount",
      t: "whole",
      T: "whole",
      f: "whole",
      L: "whole",
      n: "whole",
      x: "boolean",
    },
  ],
  forceOrder: ["o", { S: ["BUY", "SELL"], p: "amount", ap: "amount", q: "amount", z: "amount", T: "whole" }],
};

export function binanceFault(name: string, fields: Fields, isUsdm: boolean): string | null {
  const time = blame(name, fields, name === "depthUpdate" ? { E: "whole?", s: "text" } : { E: "whole?" });
  if (time !== null) return time;
  const nested = NESTED[name];
  if (nested !== undefined) return blame(`${name}.${nested[0]}`, fields[nested[0]], nested[1]);
  if (name === "depthUpdate") {
    return blame(name, fields, {
      ...(isUsdm ? { pu: "whole" } : { U: "whole" }),
      u: "whole",
      b: "levels",
      a: "levels",
    });
  }
  return blame(name, fields, FORMS[name] ?? {});
}
