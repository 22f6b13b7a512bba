import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Command } from "../dialect.ts";
import { binance } from "./mod.ts";

function decode(frame: string, market = "spot", path = "/ws"): Command {
  const opening = binance.open(market, path, new URLSearchParams());
  if (typeof opening === "string") throw new Error(opening);
  return binance.decode(frame, opening);
}

test("binance decode - the five requests of the documentation", () => {
  expect(decode('{"method":"SUBSCRIBE","params":["ethusdt@trade","ethusdt@depth@100ms"],"id":7}')).toEqual({
    op: "subscribe",
    id: 7,
    streams: [
      { asked: "ethusdt@trade", channel: "ethusdt@trade", rung: 0, since: null },
      { asked: "ethusdt@depth@100ms", channel: "ethusdt@depth", rung: 100, since: null },
    ],
    bad: [],
  });
  expect(decode('{"method":"UNSUBSCRIBE","params":["ethusdt@trade","nosuch"],"id":8}')).toEqual({
    op: "unsubscribe",
    id: 8,
    asked: ["ethusdt@trade", "nosuch"],
  });
  expect(decode('{"method":"LIST_SUBSCRIPTIONS","id":9}')).toEqual({ op: "subscriptions", id: 9 });
  expect(decode('{"method":"LIST_SUBSCRIPTIONS","params":[],"id":9}')).toEqual({ op: "subscriptions", id: 9 });
  expect(decode('{"method":"SET_PROPERTY","params":["combined",true],"id":10}')).toEqual({
    op: "setCombined",
    id: 10,
    value: true,
  });
  expect(decode('{"method":"GET_PROPERTY","params":["combined"],"id":11}')).toEqual({ op: "getCombined", id: 11 });
});

test("binance decode - unknown streams and unknown keys are no error", () => {
  expect(
    decode(
      '{"method":"SUBSCRIBE","params":["BTCUSDT@trade","!x","btcusdt@trade","btcusdt@trade"],"id":1,"callerMethodName":"x"}',
    ),
  ).toMatchObject({ op: "subscribe", streams: [{ asked: "btcusdt@trade" }], bad: [] });
  expect(decode('{"method":"SUBSCRIBE","params":[],"id":1}')).toMatchObject({ op: "subscribe", streams: [] });
  expect(decode('{"method":"SUBSCRIBE","params":["btcusdt@markPrice@1s"],"id":1}', "usdm", "/market/ws")).toMatchObject(
    {
      streams: [{ channel: "usdm:btcusdt@markPrice", rung: 1000 }],
    },
  );
});

const EXPECTED = "expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`";
const NO_ID = "Invalid request: request ID must be an unsigned integer";

const refused: readonly (readonly [frame: string, code: number, msg: string, id?: unknown])[] = [
  ["", 3, "Invalid JSON: EOF while parsing a value at line 1 column 0"],
  ["hello", 3, "Invalid JSON: expected value at line 1 column 1"],
  ['{"method":}', 3, "Invalid JSON: expected value at line 1 column 11"],
  ["{}", 2, "Invalid request: missing field `method` at line 1 column 2"],
  ['{"params":["a@trade"],"id":1}', 2, "Invalid request: missing field `method` at line 1 column 29", 1],
  ["[1]", 2, "Invalid request: missing field `method` at line 1 column 3"],
  ['{"method":"HELLO","id":1}', 2, `Invalid request: unknown variant \`HELLO\`, ${EXPECTED} at line 1 column 17`, 1],
  [
    '{"id":3,\n "method":"subscribe"}',
    2,
    `Invalid request: unknown variant \`subscribe\`, ${EXPECTED} at line 2 column 21`,
    3,
  ],
  ['{"method":5,"id":1}', 2, "Invalid request: expected value at line 1 column 11", 1],
  ['{"method":"LIST_SUBSCRIPTIONS"}', 2, NO_ID],
  ['{"method":"LIST_SUBSCRIPTIONS","id":1.5}', 2, NO_ID],
  ['{"method":"LIST_SUBSCRIPTIONS","id":{}}', 2, NO_ID],
  ['{"method":"LIST_SUBSCRIPTIONS","id":true}', 2, NO_ID],
  ['{"method":"LIST_SUBSCRIPTIONS","id":""}', 2, NO_ID],
  ['{"method":"LIST_SUBSCRIPTIONS","id":"a b"}', 2, NO_ID],
  [`{"method":"LIST_SUBSCRIPTIONS","id":"${"a".repeat(37)}"}`, 2, NO_ID],
  ['{"method":"LIST_SUBSCRIPTIONS","id":9223372036854775808}', 2, NO_ID],
  ['{"method":"LIST_SUBSCRIPTIONS","id":1e999}', 2, NO_ID],
  ['{"method":"LIST_SUBSCRIPTIONS","params":["x"],"id":1}', 2, "Invalid request: too many parameters", 1],
  ['{"method":"SUBSCRIBE","id":1}', 2, "Invalid request: missing field `params` at line 1 column 29", 1],
  [
    '{"method":"SUBSCRIBE","params":"a@trade","id":1}',
    2,
    "Invalid request: invalid type: string, expected a sequence at line 1 column 40",
    1,
  ],
  [
    '{"method":"SUBSCRIBE","params":{},"id":1}',
    2,
    "Invalid request: invalid type: map, expected a sequence at line 1 column 33",
    1,
  ],
  ['{"method":"SUBSCRIBE","params":[""],"id":1}', 2, "Invalid request: invalid stream", 1],
  ['{"method":"SUBSCRIBE","params":["btcusdt@trade",5],"id":1}', 2, "Invalid request: invalid stream", 1],
  ['{"method":"SUBSCRIBE","params":["btc usdt@trade"],"id":1}', 2, "Invalid request: invalid stream", 1],
  ['{"method":"UNSUBSCRIBE","params":[null],"id":1}', 2, "Invalid request: invalid stream", 1],
  ['{"method":"SET_PROPERTY","params":[],"id":1}', 2, "Invalid request: property name must be a string", 1],
  ['{"method":"SET_PROPERTY","params":[1,true],"id":1}', 2, "Invalid request: property name must be a string", 1],
  ['{"method":"SET_PROPERTY","params":["combined","true"],"id":1}', 1, "Invalid value type: expected Boolean", 1],
  ['{"method":"SET_PROPERTY","params":["combined"],"id":1}', 1, "Invalid value type: expected Boolean", 1],
  ['{"method":"SET_PROPERTY","params":["other",true],"id":1}', 0, "Unknown property", 1],
  ['{"method":"SET_PROPERTY","params":["combined",true,1],"id":1}', 2, "Invalid request: too many parameters", 1],
  ['{"method":"GET_PROPERTY","params":["other"],"id":1}', 0, "Unknown property", 1],
  ['{"method":"GET_PROPERTY","params":["combined",1],"id":1}', 2, "Invalid request: too many parameters", 1],
  ['{"method":"GET_PROPERTY","params":[{}],"id":1}', 2, "Invalid request: property name must be a string", 1],
];

for (const [frame, code, msg, id] of refused) {
  test(`binance decode - ${JSON.stringify(frame.slice(0, 70))} is refused as Binance does`, () => {
    const command = decode(frame);
    if (command.op !== "refused") throw new Error(command.op);
    expect(command.frame).toBe(
      JSON.stringify(id === undefined ? { error: { code, msg } } : { error: { code, msg }, id }),
    );
    expect(command.code).toBeGreaterThanOrEqual(1000);
  });
}

test("binance decode - over 1,024 names in a request are too many subscriptions", () => {
  const params = Array.from({ length: 1025 }, (_, i) => `s${i}@trade`);
  const command = decode(JSON.stringify({ method: "SUBSCRIBE", params, id: 5 }));
  expect(command).toEqual({
    op: "refused",
    code: 1301,
    frame: '{"error":{"code":4,"msg":"Too many subscriptions"},"id":5}',
  });
  const most = decode(JSON.stringify({ method: "SUBSCRIBE", params: params.slice(1), id: 5 }));
  expect(most.op === "subscribe" && most.streams.length).toBe(1024);
});

test("binance decode - ids come back with their type and every digit", () => {
  const ids = [
    "0",
    "-1",
    "7",
    "9223372036854775807",
    "-9223372036854775808",
    "null",
    '"0123456789abcdef0123456789abcdef"',
    '"a-b_C"',
  ];
  for (const id of ids) {
    const command = decode(`{"method":"LIST_SUBSCRIPTIONS","id":${id}}`);
    if (command.op !== "subscriptions") throw new Error(command.op);
    expect(binance.subscriptions(command.id, [])).toBe(`{"result":[],"id":${id}}`);
  }
});

test("binance replies - as the documentation shows them", () => {
  const outcome = { asked: "ethusdt@depth@100ms", epoch: "k7", seq: 1, rung: 100, recovered: false } as const;
  expect(binance.subscribed(7, [outcome], [])).toBe('{"result":null,"id":7}');
  expect(binance.unsubscribed(8, ["x"])).toBe('{"result":null,"id":8}');
  expect(binance.subscriptions(9, [outcome])).toBe('{"result":["ethusdt@depth@100ms"],"id":9}');
  expect(binance.property(10, null)).toBe('{"result":null,"id":10}');
  expect(binance.property(11, true)).toBe('{"result":true,"id":11}');
  expect(binance.tooManySubscriptions(1, 1024)).toBe('{"error":{"code":4,"msg":"Too many subscriptions"},"id":1}');
  expect(binance.cadenceChanged("a@b", 100, "slow")).toBeNull();
});

test("binance replies - an unknown stream succeeds, one that cannot be served does not", () => {
  const error = (code: number) => [{ asked: "a@trade", code, message: "why" }];
  expect(binance.subscribed(1, [], error(1203))).toBe('{"result":null,"id":1}');
  expect(binance.subscribed(1, [], [...error(1203), ...error(1501)])).toBe(
    '{"error":{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."},"id":1}',
  );
  expect(binance.subscribed(1, [], error(1301))).toBe('{"error":{"code":4,"msg":"Too many subscriptions"},"id":1}');
  expect(binance.refusal(undefined, 1004, "binary frames are not accepted")).toBe(
    '{"error":{"code":2,"msg":"Invalid request: binary frames are not accepted"}}',
  );
});

test("binance drain - serverShutdown raw, combined and in microseconds; USD-M has no word", () => {
  const opening = {
    market: "spot",
    form: { dialect: "binance", timeUnit: "ms" },
    combined: false,
    streams: [],
  } as const;
  const E = 1795321303000;
  expect(binance.drain(opening, E, 5000)).toBe(`{"e":"serverShutdown","E":${E}}`);
  expect(binance.drain({ ...opening, combined: true }, E, 5000)).toBe(
    `{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":${E}}}`,
  );
  expect(binance.drain({ ...opening, form: { dialect: "binance", timeUnit: "us" } }, E, 5000)).toBe(
    `{"e":"serverShutdown","E":${E}000}`,
  );
  expect(binance.drain({ ...opening, market: "usdm" }, E, 5000)).toBeNull();
});

test("binance decode - never throws and always gives a command, whatever comes", () => {
  const field = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom("combined", true, 1, null, "btcusdt@trade"));
  const requestLike = fc.record(
    {
      method: fc.oneof(
        fc.constantFrom("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"),
        field,
      ),
      params: fc.oneof(fc.array(field, { maxLength: 3 }), field),
      id: field,
    },
    { requiredKeys: [] },
  );
  const frames = fc.oneof(
    fc.string(),
    fc.json(),
    requestLike.map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(frames, (frame) => {
      const command = decode(frame);
      if (command.op !== "refused") return;
      expect(command.frame).not.toContain("\n");
      const { error } = JSON.parse(command.frame);
      expect([0, 1, 2, 3, 4]).toContain(error.code);
      expect(typeof error.msg).toBe("string");
    }),
    { numRuns: 3000 },
  );
});

test("binance decode - nesting as deep as a frame allows is refused, not followed", () => {
  const deep = "[".repeat(32_000) + "]".repeat(32_000);
  expect(decode(`{"method":"SUBSCRIBE","params":${deep},"id":1}`).op).toBe("refused");
  expect(decode(`{"method":${deep},"id":1}`).op).toBe("refused");
  expect(decode('{"a":'.repeat(10_000))).toMatchObject({ op: "refused", code: 1001 });
});

test("binance decode - a USD-M stream of another route is accepted and asks for nothing", () => {
  const frame = '{"method":"SUBSCRIBE","params":["btcusdt@depth","btcusdt@markPrice","!ticker@arr"],"id":1}';
  const asked = (path: string) => {
    const command = decode(frame, "usdm", path);
    if (command.op !== "subscribe") throw new Error(command.op);
    expect(command.bad).toEqual([]);
    return command.streams.map((stream) => stream.asked);
  };
  expect(asked("/public/ws")).toEqual(["btcusdt@depth"]);
  expect(asked("/market/ws/1")).toEqual(["btcusdt@markPrice", "!ticker@arr"]);
  expect(asked("/private/stream")).toEqual([]);
  expect(asked("/fstream/ws")).toEqual(["btcusdt@depth"]);
  expect(asked("/fstream/market/stream")).toEqual(["btcusdt@markPrice", "!ticker@arr"]);
});
