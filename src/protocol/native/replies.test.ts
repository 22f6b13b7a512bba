import { expect, test } from "bun:test";
import { native } from "./mod.ts";

const depth = { asked: "btcusdt@depth", epoch: "k7", seq: 8130, rung: 100, recovered: true } as const;
const trade = { asked: "btcusdt@trade", epoch: "k7", seq: null, rung: 0, recovered: false } as const;
const unknown = { asked: "foo@bar", code: 1203, message: "unknown channel" } as const;

test("native replies - subscribe: what runs, and what does not", () => {
  expect(native.subscribed(1, [trade, depth], [])).toBe(
    '{"id":1,"ok":true,"channels":{"btcusdt@trade":{"epoch":"k7","seq":null,"cadence":0,"recovered":false},' +
      '"btcusdt@depth":{"epoch":"k7","seq":8130,"cadence":100,"recovered":true}}}',
  );
  expect(native.subscribed(undefined, [depth], [unknown])).toBe(
    '{"ok":true,"channels":{"btcusdt@depth":{"epoch":"k7","seq":8130,"cadence":100,"recovered":true}},' +
      '"errors":[{"channel":"foo@bar","code":1203,"message":"unknown channel"}]}',
  );
  expect(native.subscribed("a", [], [unknown, { ...unknown, asked: "x@y" }])).toBe(
    '{"id":"a","ok":false,"channels":{},"error":{"code":1203,"message":"unknown channel","channel":"foo@bar"},' +
      '"errors":[{"channel":"foo@bar","code":1203,"message":"unknown channel"},{"channel":"x@y","code":1203,"message":"unknown channel"}]}',
  );
});

test("native replies - the other commands", () => {
  expect(native.unsubscribed(2, ["a@b"])).toBe('{"id":2,"ok":true,"channels":["a@b"]}');
  expect(native.subscriptions(3, [depth])).toBe(
    '{"id":3,"ok":true,"channels":{"btcusdt@depth":{"epoch":"k7","seq":8130,"cadence":100}}}',
  );
  expect(native.pong(undefined)).toBe('{"ok":true,"op":"pong"}');
  expect(native.cadenceAccepted(5, "a@b", 500)).toBe('{"id":5,"ok":true,"channel":"a@b","cadence":500}');
  expect(native.cadenceChanged("a@b", 250, "slow")).toBe('{"channel":"a@b","type":"cadence","ms":250,"reason":"slow"}');
  expect(native.refusal(2, 1203, "unknown channel", "foo@bar")).toBe(
    '{"id":2,"error":{"code":1203,"message":"unknown channel","channel":"foo@bar"}}',
  );
  expect(native.tooManySubscriptions(6, 1024)).toBe(
    '{"id":6,"error":{"code":1301,"message":"too many subscriptions: a session may have 1024"}}',
  );
  const opening = native.open("spot", "/ws/quote/v1", new URLSearchParams("x=1"));
  if (typeof opening === "string") throw new Error(opening);
  expect(opening).toEqual({
    market: "spot",
    form: { dialect: "native", timeUnit: "ms" },
    combined: false,
    streams: [],
  });
  expect(native.drain(opening, 1795321303000, 5000)).toBe('{"type":"drain","afterMs":5000}');
});

test("native replies - what a client wrote is escaped everywhere", () => {
  const nasty = '"},\n\u2028\\ü__proto__';
  const outcome = { ...depth, asked: nasty };
  const frames = [
    native.subscribed(nasty, [outcome], [{ ...unknown, asked: nasty }]),
    native.subscriptions(nasty, [outcome]),
    native.unsubscribed(nasty, [nasty]),
    native.cadenceAccepted(nasty, nasty, 0),
    native.refusal(nasty, 1, nasty, nasty),
  ];
  for (const frame of frames) {
    if (frame === null) throw new Error("a reply is missing");
    expect(frame).not.toContain("\n");
    expect(JSON.parse(frame).id).toBe(nasty);
  }
  expect(Object.keys(JSON.parse(frames[1] ?? "").channels)).toEqual([nasty]);
});
