import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Kind, Level } from "../../channel/types.ts";
import type { Stamp } from "../encoder.ts";
import { AGG_TRADE, AT, CANDLE, channelFor, LIQUIDATION, MARK_PRICE, TICKER, TOP, TRADE } from "../testing.ts";
import { native, nativeEncoder } from "./mod.ts";

const FORM = { dialect: "native", timeUnit: "ms" } as const;
const encoder = (kind: Kind) => nativeEncoder(channelFor(kind), FORM);
const FIRST: Stamp = { ...AT, prev: null, epoch: "k7" };
const BOOK = { bids: [["2750.83", "3.1"]], asks: [] } as const;
const TIMES = '"time":1795321303822,"sentUs":1795321303824123';

test("native encode - a delta tells where it stands; the epoch only where it must", () => {
  expect(
    encoder("depth").delta(AT, {
      bids: [
        ["2750.83", "0"],
        ["2750.10", "1.50"],
      ],
      asks: [],
    }),
  ).toEqual([
    `"type":"delta","prev":156,"from":157,"seq":160,${TIMES},"data":{"bids":[["2750.83","0"],["2750.10","1.50"]],"asks":[]}}`,
  ]);
  expect(encoder("depth").delta(FIRST, BOOK)).toEqual([
    `"type":"delta","epoch":"k7","prev":null,"from":157,"seq":160,${TIMES},"data":{"bids":[["2750.83","3.1"]],"asks":[]}}`,
  ]);
});

test("native encode - a joiner's snapshot has no prev, one in the chain has", () => {
  const data = '"data":{"bids":[["2750.83","3.1"]],"asks":[]}}';
  expect(encoder("depth").snapshot(FIRST, BOOK, null)).toEqual([
    `"type":"snapshot","epoch":"k7","seq":160,${TIMES},${data}`,
  ]);
  expect(encoder("depth").snapshot({ ...AT, epoch: "k7" }, BOOK, { bids: [], asks: [] })).toEqual([
    `"type":"snapshot","epoch":"k7","prev":156,"seq":160,${TIMES},${data}`,
  ]);
});

test("native encode - values and items of every kind, fields in the order of the types", () => {
  const head = `"prev":156,"seq":160,${TIMES},"data":`;
  const value = (kind: Kind, content: object) => encoder(kind).value(AT, content as never, null)[0];
  const item = (kind: Kind, content: object) => encoder(kind).items(AT, [content as never])[0];
  expect(value("bookTicker", TOP)).toBe(`"type":"value",${head}${JSON.stringify(TOP)}}`);
  expect(value("partialDepth", BOOK)).toBe(`"type":"value",${head}${JSON.stringify(BOOK)}}`);
  expect(value("ticker", TICKER)).toBe(`"type":"value",${head}${JSON.stringify(TICKER)}}`);
  expect(value("markPrice", MARK_PRICE)).toBe(`"type":"value",${head}${JSON.stringify(MARK_PRICE)}}`);
  const { open, high, low, close, volume, quoteVolume, openTime, closeTime, partial } = TICKER;
  const mini = { open, high, low, close, volume, quoteVolume, openTime, closeTime, partial };
  expect(value("miniTicker", mini)).toBe(`"type":"value",${head}${JSON.stringify(mini)}}`);
  expect(value("json", { json: '{"a":[1,2.50]}' })).toBe(`"type":"value",${head}{"a":[1,2.50]}}`);
  expect(item("json", { json: "[]" })).toBe(`"type":"items",${head}[[]]}`);
  expect(item("aggTrade", AGG_TRADE)).toBe(`"type":"items",${head}[${JSON.stringify(AGG_TRADE)}]}`);
  expect(item("liquidation", LIQUIDATION)).toBe(`"type":"items",${head}[${JSON.stringify(LIQUIDATION)}]}`);
  expect(encoder("kline").candles(AT, [{ ...CANDLE, closed: true }, CANDLE])).toEqual([
    `"type":"value",${head}[${JSON.stringify({ ...CANDLE, closed: true })},${JSON.stringify(CANDLE)}]}`,
  ]);
  const { id, price, quantity, side, time } = TRADE;
  expect(item("trade", TRADE)).toBe(`"type":"items",${head}[${JSON.stringify({ id, price, quantity, side, time })}]}`);
});

test("native encode - gap and stale", () => {
  const at = { ...AT, from: 102, seq: 118 };
  expect(encoder("trade").gap(at, { missed: 17, reason: "slow" })).toEqual([
    '"type":"gap","missed":17,"from":102,"to":118,"reason":"slow"}',
  ]);
  expect(encoder("trade").gap({ ...at, epoch: "k8" }, { missed: null, reason: "epoch" })).toEqual([
    '"type":"gap","epoch":"k8","missed":null,"from":102,"to":118,"reason":"epoch"}',
  ]);
  expect(encoder("depth").stale()).toEqual(['"type":"stale"}']);
});

test("native encode - with its envelope every payload is one line of JSON that says what went in", () => {
  const decimal = fc.tuple(fc.nat(), fc.nat({ max: 99999999 })).map(([whole, part]) => `${whole}.${part}`);
  const levels = fc.array(fc.tuple(decimal, decimal) as fc.Arbitrary<Level>, { maxLength: 5 });
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      fc.string(),
      fc.record({ bids: levels, asks: levels }),
      fc.json(),
      fc.option(fc.nat()),
      (asked, epoch, id, depth, json, prev) => {
        const { before, after } = native.envelope(asked, true);
        const at = { ...AT, epoch, prev };
        const open = (payloads: readonly string[]) => {
          expect(payloads).toHaveLength(1);
          expect(payloads[0]).not.toContain("\n");
          const frame = JSON.parse(before + payloads[0] + after);
          expect(frame).toMatchObject({ channel: asked, epoch, seq: 160, time: AT.time, sentUs: AT.sentUs });
          return frame;
        };
        const delta = open(encoder("depth").delta(at, depth));
        expect([delta.prev, delta.data]).toEqual([prev, depth]);
        expect(open(encoder("depth").snapshot(at, depth, null)).data).toEqual(depth);
        expect(open(encoder("trade").items(at, [{ ...TRADE, id }, TRADE])).data[0].id).toBe(id);
        expect(open(encoder("json").value(at, { json: JSON.stringify(JSON.parse(json), null, 2) }, null)).data).toEqual(
          JSON.parse(json),
        );
      },
    ),
  );
});
