import { expect, test } from "bun:test";
import { GatewayError } from "../lib/errors.ts";
import { refuseBusSubject, subjectOf } from "./subject.ts";

const codeOf = (call: () => unknown): string => {
  try {
    call();
    return "accepted";
  } catch (error) {
    return error instanceof GatewayError ? error.code : String(error);
  }
};

test("subject - tg, cluster, fanout topic, and the user's hash for private ones", () => {
  expect(subjectOf("eu1", "fanout.trade.btcusdt")).toBe("tg.eu1.fanout.trade.btcusdt");
  expect(subjectOf("eu1", "fanout.balance", "9f86d0")).toBe("tg.eu1.fanout.balance.9f86d0");
});

test("subject - parts that would change its meaning are refused", () => {
  for (const topic of ["", "a..b", ".a", "a.", "a b", "fanout.*", "fanout.>", "a\u0000"]) {
    expect(codeOf(() => subjectOf("eu1", topic))).toBe("BAD_SUBJECT");
  }
  for (const cluster of ["", "a.b", "*", "a b"]) expect(codeOf(() => subjectOf(cluster, "a"))).toBe("BAD_SUBJECT");
  expect(codeOf(() => subjectOf("eu1", "a", "x.y"))).toBe("BAD_SUBJECT");
});

test("subject - a source may not read what the bus sends", () => {
  for (const subject of ["tg", "tg.eu1.fanout.trade", "tg.>", ">", "*.eu1.>", "*"]) {
    expect(codeOf(() => refuseBusSubject(subject))).toBe("SUBJECT_RESERVED");
  }
  for (const subject of ["tgx.trade", "fanout.trade.btcusdt", "md.tg.trade", "md.>"]) {
    expect(codeOf(() => refuseBusSubject(subject))).toBe("accepted");
  }
});
