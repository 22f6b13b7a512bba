import { expect, test } from "bun:test";
import fc from "fast-check";
import { Chain } from "./chain.ts";
import { Head } from "./head.ts";

const at = '"time":1795321303824,"sentUs":1795321303826123';
const data = '"data":{"bids":[["1","2"]],"asks":[]}}';

test("client head - the head of every push, as the node writes it", () => {
  const head = new Head();
  const snapshot = `{"channel":"btcusdt@depth","type":"snapshot","epoch":"k7","seq":8130,${at},${data}`;
  expect(head.read(snapshot)).toBe(true);
  expect(head).toMatchObject({ channel: "btcusdt@depth", type: "snapshot", epoch: "k7", seq: 8130, from: 0 });
  expect(head).toMatchObject({ time: 1795321303824, sentUs: 1795321303826123 });
  expect(head.prev).toBe(undefined);
  expect(JSON.parse(snapshot.slice(head.dataAt, -1))).toEqual({ bids: [["1", "2"]], asks: [] });

  expect(head.read(`{"channel":"b@depth","type":"delta","prev":8130,"from":8131,"seq":8134,${at},${data}`)).toBe(true);
  expect(head).toMatchObject({ channel: "b@depth", type: "delta", prev: 8130, from: 8131, seq: 8134 });
  expect(head.epoch).toBe(undefined);

  expect(head.read('{"channel":"a","type":"gap","epoch":"k8","missed":null,"from":1,"to":9,"reason":"epoch"}')).toBe(
    true,
  );
  expect(head).toMatchObject({ type: "gap", epoch: "k8", missed: null, from: 1, to: 9, reason: "epoch", dataAt: -1 });
  expect(head.read('{"channel":"a","type":"gap","missed":17,"from":1,"to":9,"reason":"slow"}')).toBe(true);
  expect([head.missed, head.epoch]).toEqual([17, undefined]);
  expect(head.read('{"channel":"a","type":"stale"}')).toBe(true);
  expect([head.type, head.seq]).toEqual(["stale", 0]);
  expect(head.read('{"channel":"a","type":"cadence","ms":250,"reason":"slow"}')).toBe(true);
  expect([head.type, head.ms, head.reason]).toEqual(["cadence", 250, "slow"]);
  expect(head.read(`{"channel":"a","type":"items","prev":null,"seq":5,${at},"data":[]}`)).toBe(true);
  expect(head.prev).toBe(null);
});

test("client head - replies, a drain and nonsense are not for it", () => {
  const head = new Head();
  const others = [
    '{"id":1,"ok":true,"channels":{"a":{"epoch":"k","seq":1,"cadence":0,"recovered":false}}}',
    '{"id":1,"error":{"code":1203,"message":"unknown channel","channel":"a"}}',
    '{"type":"drain","afterMs":5}',
    '{"channel":"a","type":"hello"}',
    '{"channel":"a","type":"stale"',
    '{"channel":"a"}',
    '{"channel":"a","type":"stale"} ',
    '{"channel":',
    "[]",
    "",
    "x",
  ];
  // White space behind the object is JSON too.
  expect(others.map((text) => head.read(text))).toEqual(others.map((text) => text.endsWith("} ")));
});

test("client head - says what a parser says, however the frame is written", () => {
  const head = new Head();
  const fields = fc.record({
    channel: fc.string({ unit: "grapheme" }),
    type: fc.constantFrom("snapshot" as const, "delta" as const, "value" as const, "items" as const),
    epoch: fc.option(fc.string(), { nil: undefined }),
    prev: fc.option(fc.nat(), { nil: null }),
    seq: fc.maxSafeNat(),
    time: fc.maxSafeNat(),
    sentUs: fc.maxSafeNat(),
  });
  const order = fc.shuffledSubarray(["channel", "type", "epoch", "prev", "seq", "time", "sentUs"] as const, {
    minLength: 7,
  });
  fc.assert(
    fc.property(fields, fc.option(order), fc.jsonValue(), fc.boolean(), (push, names, content, indented) => {
      const inOrder = names === null ? push : Object.fromEntries(names.map((name) => [name, push[name]]));
      const text = JSON.stringify({ ...inOrder, data: content }, null, indented ? 1 : 0);
      expect(head.read(text)).toBe(true);
      const { channel, type, epoch, prev, seq, time, sentUs } = head;
      expect({ channel, type, epoch, prev, seq, time, sentUs }).toEqual(push);
      expect(JSON.parse(text.slice(head.dataAt, text.lastIndexOf("}")))).toEqual(JSON.parse(JSON.stringify(content)));
    }),
  );
});

test("client head - a chain takes heads as it takes whole pushes", () => {
  const head = new Head();
  const chain = new Chain();
  const verdicts = [
    `{"channel":"a","type":"snapshot","epoch":"k7","seq":10,${at},${data}`,
    `{"channel":"a","type":"delta","prev":10,"from":11,"seq":12,${at},${data}`,
    `{"channel":"a","type":"delta","prev":13,"from":14,"seq":14,${at},${data}`,
    '{"channel":"a","type":"stale"}',
    `{"channel":"a","type":"snapshot","epoch":"k8","seq":3,${at},${data}`,
  ].map((text) => head.read(text) && chain.accept(head));
  expect(verdicts).toEqual(["take", "take", "broken", "take", "restart"]);
  expect(chain.position).toEqual({ epoch: "k8", seq: 3 });
});
