import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Command } from "../dialect.ts";
import { native } from "./mod.ts";

const opening = native.open("spot", "/ws/quote/v1", new URLSearchParams());
const decode = (frame: string): Command => {
  if (typeof opening === "string") throw new Error(opening);
  return native.decode(frame, opening);
};
const send = (command: unknown): Command => decode(JSON.stringify(command));

/** The error reply of a refused command. */
function refusal(command: Command): { id?: unknown; error: { code: number; message: string; channel?: string } } {
  if (command.op !== "refused") throw new Error(`not refused: ${JSON.stringify(command)}`);
  const reply = JSON.parse(command.frame);
  expect(reply.error.code).toBe(command.code);
  return reply;
}

test("native decode - subscribe with cadence and since", () => {
  const command = send({
    id: 1,
    op: "subscribe",
    channels: ["btcusdt@trade", "btcusdt@depth", "spot:ethusdt@depth", "usdm:btcusdt@markPrice", "balance"],
    cadence: 100,
    since: { "btcusdt@depth": { epoch: "k7", seq: 8123 } },
  });
  const rest = { rung: 100, since: null } as const;
  expect(command).toEqual({
    op: "subscribe",
    id: 1,
    streams: [
      { asked: "btcusdt@trade", channel: "btcusdt@trade", ...rest },
      { asked: "btcusdt@depth", channel: "btcusdt@depth", rung: 100, since: { epoch: "k7", seq: 8123 } },
      { asked: "spot:ethusdt@depth", channel: "ethusdt@depth", ...rest },
      { asked: "usdm:btcusdt@markPrice", channel: "usdm:btcusdt@markPrice", ...rest },
      { asked: "balance", channel: "balance", ...rest },
    ],
    bad: [],
  });
});

test("native decode - the other commands", () => {
  expect(send({ op: "unsubscribe", id: "x", channels: ["a@b", "c@d", "a@b"] })).toEqual({
    op: "unsubscribe",
    id: "x",
    asked: ["a@b", "c@d"],
  });
  expect(send({ op: "subscriptions", id: null })).toEqual({ op: "subscriptions", id: null });
  expect(send({ op: "ping", extra: [1] })).toEqual({ op: "ping", id: undefined });
  expect(send({ op: "resync", id: 2, channel: "a@depth" })).toEqual({ op: "resync", id: 2, asked: "a@depth" });
  expect(send({ op: "cadence", id: 3, channel: "a@depth", ms: 300 })).toEqual({
    op: "cadence",
    id: 3,
    asked: "a@depth",
    rung: 500,
  });
});

test("native decode - a cadence becomes the next rung that is not faster", () => {
  const table = [0, 0, 1, 50, 50, 50, 51, 100, 100, 100, 33.3, 50, 250.5, 500, 1001, 2000, 2999, 3000, 3000, 3000];
  for (let i = 0; i < table.length; i += 2) {
    expect(send({ op: "cadence", channel: "a@b", ms: table[i] })).toMatchObject({ op: "cadence", rung: table[i + 1] });
  }
  for (const ms of [3000.01, 1e300]) {
    const { error } = refusal(send({ op: "subscribe", channels: ["a@b"], cadence: ms }));
    expect(error).toEqual({
      code: 1005,
      message: "cadence is too slow: the rungs are 0, 50, 100, 250, 500, 1000, 2000, 3000 ms",
    });
  }
});

const wrong: readonly (readonly [frame: string, code: number, message: string, channel?: string])[] = [
  ["{", 1001, "frame is not JSON: EOF while parsing an object at line 1 column 1"],
  ["nonsense", 1001, "frame is not JSON: expected ident at line 1 column 2"],
  ["", 1001, "frame is not JSON: EOF while parsing a value at line 1 column 0"],
  ["[]", 1002, "a command is a JSON object, this is an array"],
  ["7", 1002, "a command is a JSON object, this is 7"],
  ["null", 1002, "a command is a JSON object, this is null"],
  ["{}", 1002, "op is missing: use subscribe, unsubscribe, subscriptions, ping, resync or cadence"],
  ['{"op":5}', 1005, "op must be a string; it is 5"],
  ['{"op":"login"}', 1003, 'unknown op "login": use subscribe, unsubscribe, subscriptions, ping, resync or cadence'],
  ['{"op":"ping","id":[1]}', 1005, "id must be a string, a number, true, false or null; it is an array"],
  ['{"op":"ping","id":1e999}', 1005, "id is a number out of range"],
  [`{"op":"ping","id":"${"x".repeat(257)}"}`, 1005, "id has 257 characters, the most is 256"],
  ['{"op":"subscribe"}', 1005, "channels must be an array of channel names; it is missing"],
  ['{"op":"subscribe","channels":"a@b"}', 1005, 'channels must be an array of channel names; it is "a@b"'],
  ['{"op":"subscribe","channels":[]}', 1005, "channels is empty: it must name at least one channel"],
  ['{"op":"subscribe","channels":["a@b",{}]}', 1005, "channels[1] must be a string; it is an object"],
  ['{"op":"unsubscribe","channels":[null]}', 1005, "channels[0] must be a string; it is null"],
  [
    '{"op":"subscribe","channels":["a@b"],"cadence":"fast"}',
    1005,
    'cadence must be a number of milliseconds from 0 on; it is "fast"',
  ],
  [
    '{"op":"subscribe","channels":["a@b"],"cadence":-1}',
    1005,
    "cadence must be a number of milliseconds from 0 on; it is -1",
  ],
  [
    '{"op":"subscribe","channels":["a@b"],"cadence":null}',
    1005,
    "cadence must be a number of milliseconds from 0 on; it is null",
  ],
  [
    '{"op":"subscribe","channels":["a@b"],"since":[]}',
    1005,
    "since must be an object of positions by channel name; it is an array",
  ],
  [
    '{"op":"subscribe","channels":["a@b"],"since":{"c@d":{"epoch":"k","seq":1}}}',
    1005,
    "since names a channel that channels does not",
    "c@d",
  ],
  [
    '{"op":"subscribe","channels":["a@b"],"since":{"a@b":7}}',
    1005,
    "since: epoch must be the string of a reply or push",
    "a@b",
  ],
  [
    '{"op":"subscribe","channels":["a@b"],"since":{"a@b":{"epoch":"k","seq":1.5}}}',
    1005,
    "since: seq must be an integer from 0 on",
    "a@b",
  ],
  [
    '{"op":"subscribe","channels":["a@b"],"since":{"a@b":{"epoch":"k","seq":null}}}',
    1005,
    "since: seq must be an integer from 0 on",
    "a@b",
  ],
  ['{"op":"resync"}', 1005, "channel must be a channel name; it is missing"],
  [
    '{"op":"resync","channel":"a b"}',
    1201,
    "malformed channel name: use [<market>:]<symbol>@<stream>, market and symbol in lower case",
    "a b",
  ],
  ['{"op":"cadence","channel":"a@b"}', 1005, "ms must be a number of milliseconds from 0 on; it is missing"],
  ['{"op":"cadence","ms":100}', 1005, "channel must be a channel name; it is missing"],
];

for (const [frame, code, message, channel] of wrong) {
  test(`native decode - ${JSON.stringify(frame.slice(0, 80))} is refused in words that name the field`, () => {
    const { error } = refusal(decode(frame));
    expect(error).toEqual({ code, message, ...(channel === undefined ? {} : { channel }) });
  });
}

test("native decode - a bad name comes back beside the good ones", () => {
  const bad = [
    "",
    "@",
    "a@",
    "@b",
    "a b@c",
    'a"@b',
    "a\\b",
    "a@b@c",
    "x:y:z",
    "a\u0000b",
    "a\nb",
    "x".repeat(129),
    "BTC@trade",
  ];
  const command = send({ op: "subscribe", channels: ["good@trade", ...bad] });
  if (command.op !== "subscribe") throw new Error(command.op);
  expect(command.streams.map((stream) => stream.asked)).toEqual(["good@trade"]);
  expect(command.bad.map((error) => error.asked)).toEqual(bad);
  expect(new Set(command.bad.map((error) => error.code))).toEqual(new Set([1201]));
});

test("native decode - names of object prototypes are names like any other", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
  const command = decode(
    '{"op":"subscribe","channels":["__proto__","constructor","toString","hasOwnProperty"],' +
      '"since":{"__proto__":{"epoch":"k","seq":1}},"__proto__":{"op":"x","cadence":9}}',
  );
  if (command.op !== "subscribe") throw new Error(command.op);
  expect(command.streams.map((stream) => stream.asked)).toEqual(names);
  expect(command.streams.map((stream) => stream.since)).toEqual([{ epoch: "k", seq: 1 }, null, null, null]);
  expect(command.streams.map((stream) => stream.rung)).toEqual([0, 0, 0, 0]);
});

test("native decode - 1,024 names are a command, 1,025 are too many, the same name counts once", () => {
  const names = Array.from({ length: 1025 }, (_, i) => `s${i}@trade`);
  expect(send({ op: "subscribe", channels: names.slice(1) })).toMatchObject({ op: "subscribe", bad: [] });
  expect(refusal(send({ id: 4, op: "subscribe", channels: names }))).toEqual({
    id: 4,
    error: { code: 1301, message: "channels has 1025 names, the most in one command is 1024" },
  });
  expect(send({ op: "subscribe", channels: Array(1024).fill("a@b") })).toMatchObject({ streams: [{ asked: "a@b" }] });
});

test("native decode - every JSON scalar is an id and comes back as it was", () => {
  for (const id of ['"x"', '"\\u0000\\"\\\\é"', "0", "-7", "1.5", "9223372036854775807", "null", "true", "false"]) {
    const command = decode(`{"id":${id},"op":"ping"}`);
    if (command.op !== "ping") throw new Error(command.op);
    const reply = native.pong(command.id);
    expect(JSON.parse(reply)).toEqual({ id: JSON.parse(id), ok: true, op: "pong" });
    if (/^-?\d+$/.test(id)) expect(reply).toStartWith(`{"id":${id},`);
  }
});

test("native decode - never throws and always gives a command, whatever comes", () => {
  const field = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom("a@b", "", -1, 1e300, 100, ["a@b"], { "a@b": {} }),
  );
  const commandLike = fc.record(
    {
      id: field,
      op: fc.oneof(fc.constantFrom("subscribe", "unsubscribe", "subscriptions", "ping", "resync", "cadence"), field),
      channels: fc.oneof(fc.array(fc.oneof(fc.string(), field)), field),
      channel: field,
      cadence: field,
      ms: field,
      since: fc.oneof(fc.dictionary(fc.string(), field), field),
    },
    { requiredKeys: [] },
  );
  const frames = fc.oneof(
    fc.string(),
    fc.json(),
    commandLike.map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(frames, (frame) => {
      const command = decode(frame);
      if (command.op !== "refused") return;
      expect(typeof refusal(command).error.message).toBe("string");
      expect(command.frame).not.toContain("\n");
    }),
    { numRuns: 3000 },
  );
});

test("native decode - nesting as deep as a frame allows is refused, not followed", () => {
  const deep = "[".repeat(32_000) + "]".repeat(32_000);
  expect(refusal(decode(`{"id":1,"op":"subscribe","channels":${deep}}`)).error.code).toBeGreaterThan(1000);
  expect(refusal(decode('{"a":'.repeat(10_000))).error.code).toBe(1001);
});
