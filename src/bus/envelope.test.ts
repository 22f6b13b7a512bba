import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Publication } from "../channel/types.ts";
import { GatewayError } from "../lib/errors.ts";
import { BUS_VERSION, type BusMessage, type Head, type StateReply, type StateRequest } from "./bus.ts";
import { createCodec } from "./envelope.ts";

const codec = createCodec();
/** Any text, lone surrogates too. */
const text = fc.string({ unit: "binary" });
const integer = fc.maxSafeInteger().map((n) => n + 0);
const level = fc.tuple(text, text);
const depth = fc.record({ bids: fc.array(level, { maxLength: 5 }), asks: fc.array(level, { maxLength: 5 }) });
const jsonText = fc.record({ json: text });
const body = fc.oneof(
  fc.record({ type: fc.constantFrom("snapshot" as const, "delta" as const), data: depth }),
  fc.record({ type: fc.constant("value" as const), data: jsonText }),
  fc.record({ type: fc.constant("items" as const), data: fc.array(jsonText, { maxLength: 4 }) }),
  fc.record({
    type: fc.constant("gap" as const),
    data: fc.record({ missed: fc.option(fc.nat()), reason: fc.constantFrom("source" as const, "epoch" as const) }),
  }),
  fc.record({ type: fc.constant("stale" as const), data: fc.constantFrom("checksum" as const, "no-head" as const) }),
);
const header = { version: fc.constant(BUS_VERSION), shard: text, token: fc.nat(), epoch: text };
const publication: fc.Arbitrary<Publication> = fc
  .tuple(
    body,
    fc.record({
      channel: text,
      user: text,
      kind: fc.constantFrom("trade" as const, "depth" as const, "json" as const),
      seq: integer,
      prev: fc.option(integer),
      time: integer,
      receivedUs: integer,
    }),
  )
  .map(([content, rest]) => ({ ...content, ...rest }));
const publications = fc.array(publication, { maxLength: 4 });
const message: fc.Arbitrary<BusMessage> = fc.record({ ...header, publications });
const head: fc.Arbitrary<Head> = fc
  .record({
    ...header,
    offset: fc.option(integer),
    source: text,
    provides: fc.subarray(["trade" as const, "kline" as const]),
    full: fc.boolean(),
    last: fc.array(fc.tuple(text, text, integer), { maxLength: 5 }),
    instruments: fc.option(fc.nat()),
  })
  .map(({ instruments, ...rest }) => (instruments === null ? rest : { ...rest, instruments }));
const request: fc.Arbitrary<StateRequest> = fc.record({
  channel: text,
  user: text,
  since: fc.option(fc.record({ epoch: text, seq: integer })),
});
const reply: fc.Arbitrary<StateReply> = fc.record({
  ...header,
  channel: text,
  user: text,
  seq: fc.option(integer),
  provides: fc.subarray(["trade" as const, "kline" as const]),
  after: fc.option(publications),
  state: fc.option(body),
  time: integer,
  history: publications,
  stale: fc.boolean(),
});

const CODES = ["BUS_MALFORMED", "BUS_VERSION"];
const codeOf = (result: unknown): string => (result instanceof GatewayError ? result.code : "accepted");

const SAMPLE: BusMessage = {
  version: BUS_VERSION,
  shard: "s1",
  token: 3,
  epoch: "e1",
  publications: [
    {
      type: "items",
      data: [{ json: "{}" }],
      channel: "btcusdt@trade",
      user: "",
      kind: "json",
      seq: 7,
      prev: null,
      time: 1,
      receivedUs: 2,
    },
  ],
};

test("envelope - whatever is encoded is decoded the same", () => {
  fc.assert(fc.property(message, (m) => expect(codec.decodeMessage(codec.encodeMessage(m))).toEqual(m)));
  fc.assert(fc.property(head, (h) => expect(codec.decodeHead(codec.encodeHead(h))).toEqual(h)));
  fc.assert(fc.property(request, (r) => expect(codec.decodeRequest(codec.encodeRequest(r))).toEqual(r)));
  fc.assert(fc.property(reply, (r) => expect(codec.decodeReply(codec.encodeReply(r))).toEqual(r)));
  expect(codec.decodeReply(codec.encodeReply(null))).toBeNull();
});

test("envelope - a truncated message is refused at every length", () => {
  const bytes = codec.encodeMessage(SAMPLE);
  for (let length = 0; length < bytes.length; length++) {
    expect(codeOf(codec.decodeMessage(bytes.subarray(0, length)))).toBe("BUS_MALFORMED");
  }
});

test("envelope - garbage and damaged bytes are refused or harmless, and nothing throws", () => {
  const decoders = [codec.decodeMessage, codec.decodeHead, codec.decodeRequest, codec.decodeReply];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const decode of decoders) expect(CODES).toContain(codeOf(decode(bytes)));
    }),
  );
  const good = codec.encodeMessage(SAMPLE);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const bytes = Uint8Array.from(good);
      bytes[at] = byte;
      expect([...CODES, "accepted"]).toContain(codeOf(codec.decodeMessage(bytes)));
    }),
  );
});

test("envelope - JSON of the wrong shape is refused and the field is named", () => {
  const [first] = SAMPLE.publications;
  const wrong: [object, string][] = [
    [{ ...SAMPLE, token: "3" }, "token"],
    [{ ...SAMPLE, epoch: 1 }, "epoch"],
    [{ ...SAMPLE, shard: null }, "shard"],
    [{ ...SAMPLE, publications: {} }, "publications"],
    [{ ...SAMPLE, publications: [first, null] }, "publications[1].not an object"],
    [{ ...SAMPLE, publications: [{ ...first, seq: 1.5 }] }, "publications[0].seq"],
    [{ ...SAMPLE, publications: [{ ...first, prev: "1" }] }, "publications[0].prev"],
    [{ ...SAMPLE, publications: [{ ...first, type: "constructor" }] }, "publications[0].type"],
    [{ ...SAMPLE, publications: [{ ...first, type: "delta", data: [] }] }, "publications[0].data"],
    [{ ...SAMPLE, publications: [{ ...first, data: {} }] }, "publications[0].data"],
  ];
  for (const [body, field] of wrong) {
    const result = codec.decodeMessage(codec.encodeMessage(body as BusMessage));
    expect(codeOf(result)).toBe("BUS_MALFORMED");
    expect((result as GatewayError).message).toContain(field);
  }
  const badHead = { ...SAMPLE, offset: 1, source: "", provides: [], full: true, last: [["a", "", "1"]] };
  expect((codec.decodeHead(codec.encodeHead(badHead as never)) as GatewayError).message).toContain("last[0]");
  const badCount = { ...SAMPLE, offset: 1, source: "", provides: [], full: true, last: [], instruments: "2" };
  expect((codec.decodeHead(codec.encodeHead(badCount as never)) as GatewayError).message).toContain("instruments");
  const badSince = { channel: "a", user: "", since: { epoch: "e", seq: null } };
  expect(codeOf(codec.decodeRequest(codec.encodeRequest(badSince as never)))).toBe("BUS_MALFORMED");
});

test("envelope - what is of another sort is refused", () => {
  expect(codeOf(codec.decodeHead(codec.encodeMessage(SAMPLE)))).toBe("BUS_MALFORMED");
  expect(codeOf(codec.decodeMessage(codec.encodeReply(null)))).toBe("BUS_MALFORMED");
});

test("envelope - a node reads its own version and the one before, never a newer or older one", () => {
  const [two, three, four] = [createCodec(2), createCodec(3), createCodec(4)];
  expect(two.decodeMessage(two.encodeMessage(SAMPLE))).toEqual({ ...SAMPLE, version: 2 });
  expect(three.decodeMessage(two.encodeMessage(SAMPLE))).toEqual({ ...SAMPLE, version: 2 });
  expect(codeOf(two.decodeMessage(three.encodeMessage(SAMPLE)))).toBe("BUS_VERSION");
  expect(codeOf(four.decodeMessage(two.encodeMessage(SAMPLE)))).toBe("BUS_VERSION");
  expect(codeOf(createCodec(1).decodeMessage(createCodec(0).encodeMessage(SAMPLE)))).toBe("BUS_VERSION");
  expect(codeOf(codec.decodeMessage(createCodec(BUS_VERSION + 1).encodeMessage(SAMPLE)))).toBe("BUS_VERSION");
});
