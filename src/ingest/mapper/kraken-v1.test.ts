import { expect, test } from "bun:test";
import { createKrakenV1 } from "./kraken-v1.ts";
import type { MappedUpdate } from "./mapper.ts";

const symbolOf = (_market: string, spelling: string): string => spelling.toLowerCase().replaceAll("/", "");
const mapper = createKrakenV1(symbolOf);

function updateOf(text: string): MappedUpdate {
  const mapped = mapper.map(text);
  if ("malformed" in mapped || "skipped" in mapped) throw new Error(JSON.stringify(mapped));
  expect(mapped).toHaveLength(1);
  return mapped[0]!;
}
const reasonOf = (value: unknown): string => {
  const mapped = mapper.map(value);
  return "malformed" in mapped ? mapped.malformed : `${(mapped as readonly MappedUpdate[]).length} updates`;
};

test("kraken v1 - a snapshot is the whole book, best first, with the subscribed window", () => {
  const update = updateOf(
    `[992,{"as":[["354.80000000","1.40000000","1618678133.020508"],["354.84000000","6.88212752","1618678132.981007"]],` +
      `"bs":[["354.15000000","5.00000000","1618678133.365913"]]},"book-1000","XMR/USD"]`,
  );
  expect(update).toEqual({
    channel: "xmrusd@depth",
    kind: "depth",
    user: "",
    type: "snapshot",
    time: 1618678133365,
    window: 1000,
    data: {
      bids: [["354.15000000", "5.00000000"]],
      asks: [
        ["354.80000000", "1.40000000"],
        ["354.84000000", "6.88212752"],
      ],
    },
  });
});

test("kraken v1 - a snapshot out of order, with a zero and a repeat, is put right", () => {
  const { data } = updateOf(
    `[1,{"as":[["2.0","1.0","5.0"],["1.0","1.0","5.0"],["3.0","0.0","5.0"],["2.0","7.0","5.0"]],"bs":[]},"book-10","A/B"]`,
  );
  expect(data).toEqual({
    bids: [],
    asks: [
      ["1.0", "1.0"],
      ["2.0", "7.0"],
    ],
  });
});

test("kraken v1 - an update is a delta with its checksum", () => {
  const update = updateOf(
    `[992,{"b":[["354.12000000","0.00000000","1618678133.366461"]],"c":"1822697057"},"book-1000","XMR/USD"]`,
  );
  expect(update).toEqual({
    channel: "xmrusd@depth",
    kind: "depth",
    user: "",
    type: "delta",
    time: 1618678133366,
    window: 1000,
    sequence: { prev: null, last: 1618678133366461 },
    checksum: 1822697057,
    data: { bids: [["354.12000000", "0.00000000"]], asks: [] },
  });
});

test("kraken v1 - two dicts in one message are one update with both sides", () => {
  const update = updateOf(
    `[1920,{"a":[["0.042990","364630.28272081","1618678145.920470"]]},` +
      `{"b":[["0.042990","0.00000000","1618678145.920708"]],"c":"4105471083"},"book-1000","SC/EUR"]`,
  );
  expect(update).toMatchObject({
    type: "delta",
    checksum: 4105471083,
    data: { bids: [["0.042990", "0.00000000"]], asks: [["0.042990", "364630.28272081"]] },
  });
});

test("kraken v1 - of a repeated price in one message the last wins, however many levels there are", () => {
  const level = (price: number, quantity: string): string => `["${price}.0","${quantity}","9.0"]`;
  for (const others of [1, 20]) {
    const rest = Array.from({ length: others }, (_, index) => level(100 + index, "1.0"));
    const update = updateOf(
      `[1,{"b":[${[level(5, "1.0"), level(5, "0.0"), ...rest, level(5, "3.0")].join(",")}]},"book-25","A/B"]`,
    );
    const bids = update.type === "delta" ? update.data.bids : [];
    expect(bids).toHaveLength(others + 1);
    expect(bids.at(-1)).toEqual(["5.0", "3.0"]);
  }
});

test("kraken v1 - the newest level's time counts, and whole milliseconds stay whole", () => {
  expect(
    updateOf(`[1,{"a":[["1.0","1.0","1618678133.365000"],["2.0","1.0","1618678133.364999"]]},"book-10","A/B"]`).time,
  ).toBe(1618678133365);
  for (let ms = 0; ms < 1000; ms++) {
    const text = `1618678133.${String(ms).padStart(3, "0")}000`;
    expect(updateOf(`[1,{"a":[["1.0","1.0","${text}"]]},"book-10","A/B"]`).time).toBe(1618678133000 + ms);
  }
});

test("kraken v1 - trades have the taker's side and leave the number to the shard", () => {
  const update = updateOf(
    `[0,[["5541.20000","0.15850568","1534614057.321597","s","l",""],["6060.00000","0.02455000","1534614057.324998","b","l",""]],"trade","XBT/USD"]`,
  );
  expect(update).toEqual({
    channel: "xbtusd@trade",
    kind: "trade",
    user: "",
    type: "items",
    time: 1534614057324,
    data: [
      { id: "", t: -1, price: "5541.20000", quantity: "0.15850568", side: "sell", time: 1534614057321 },
      { id: "", t: -1, price: "6060.00000", quantity: "0.02455000", side: "buy", time: 1534614057324 },
    ],
  });
});

test("kraken v1 - events and channels we have no kind for give no update", () => {
  for (const text of [
    `{"event":"heartbeat"}`,
    `{"connectionID":17843232920108168701,"event":"systemStatus","status":"online","version":"1.8.3"}`,
    `{"channelID":1664,"channelName":"book-1000","event":"subscriptionStatus","pair":"WAVES/EUR","status":"subscribed"}`,
    `[0,["5698.40000","5700.00000","1542057299.545897","1.01234567","0.98765432"],"spread","XBT/USD"]`,
    `[42,["1542057314.748456","1542057360.435743","3586.7","3586.7","3586.6","3586.6","3586.6","0.03","2"],"ohlc-5","XBT/USD"]`,
    `[0,{"a":["5525.4","1","1.0"],"b":["5525.1","1","1.0"]},"ticker","XBT/USD"]`,
  ]) {
    expect(mapper.map(text)).toEqual([]);
  }
});

test("kraken v1 - whatever is not sound is malformed, with a reason from a short list", () => {
  const book = (part: string, channel = "book-10"): string => `[1,${part},"${channel}","A/B"]`;
  expect(reasonOf(undefined)).toBe("not text");
  expect(reasonOf(new Uint8Array(3))).toBe("not text");
  expect(reasonOf(`[1,{"b":`)).toBe("not JSON");
  expect(reasonOf(`7`)).toBe("neither a list nor an event");
  expect(reasonOf(`null`)).toBe("neither a list nor an event");
  expect(reasonOf(`{"foo":1}`)).toBe("neither a list nor an event");
  expect(reasonOf(`[]`)).toBe("no channel and pair");
  expect(reasonOf(`["book-10","A/B"]`)).toBe("no channel and pair");
  expect(reasonOf(`[1,{"b":[]},"book-10",5]`)).toBe("no channel and pair");
  expect(reasonOf(book(`{"b":[["1.0","1.0","1.0"]]}`, "book-11"))).toBe("unknown channel");
  for (const part of [
    `null`,
    `"b"`,
    `{}`,
    `[]`,
    `{"b":{}}`,
    `{"b":["1.0"]}`,
    `{"b":[[1.0,"1.0","1.0"]]}`,
    `{"b":[["1.0",1,"1.0"]]}`,
    `{"b":[["-1.0","1.0","1.0"]]}`,
    `{"b":[["1e5","1.0","1.0"]]}`,
    `{"b":[["1.0.0","1.0","1.0"]]}`,
    `{"b":[[".5","1.0","1.0"]]}`,
    `{"b":[["5.","1.0","1.0"]]}`,
    `{"b":[["","1.0","1.0"]]}`,
    `{"b":[["${"1".repeat(70)}","1.0","1.0"]]}`,
    `{"b":[["1.0","1.0"]]}`,
    `{"b":[["1.0","1.0","soon"]]}`,
    `{"b":[["1.0","1.0","1.0"]],"c":12}`,
    `{"b":[["1.0","1.0","1.0"]],"c":""}`,
    `{"b":[["1.0","1.0","1.0"]],"c":"4294967296"}`,
    `{"b":[["1.0","1.0","1.0"]],"as":[]}`,
  ]) {
    expect(`${part} ${reasonOf(book(part))}`).toBe(`${part} bad book`);
  }
  for (const trade of [
    `[]`,
    `{}`,
    `[5]`,
    `[["1","1","1.0","x","l",""]]`,
    `[["1","-1","1.0","b","l",""]]`,
    `[["1","1",1,"b"]]`,
  ]) {
    expect(`${trade} ${reasonOf(book(trade, "trade"))}`).toBe(`${trade} bad trade`);
  }
});

test("kraken v1 - what nobody can name may have been a change of a book; a bad trade is one of its pair", () => {
  const kraken = createKrakenV1(symbolOf);
  for (const lost of [7, "{}", "[]", '[1,{"b":[]},"book-11","A/B"]']) {
    expect(kraken.map(lost)).toMatchObject({ suspect: true });
  }
  const traded = (side: string): unknown => kraken.map(`[1,[["1.0","1.0","1.0","${side}","l",""]],"trade","A/B"]`);
  expect(traded("x")).toEqual({ malformed: "bad trade", why: expect.any(Function) });
  traded("b");
  expect(traded("x")).toEqual({ malformed: "bad trade", misses: "ab@trade", why: expect.any(Function) });
});

test("kraken v1 - a spelling is learned once, from a sound message only, and a refused one is malformed", () => {
  const asked: string[] = [];
  const learning = createKrakenV1((market, spelling) => {
    asked.push(`${market} ${spelling}`);
    return spelling === "NO/NO" ? null : symbolOf(market, spelling);
  });
  const delta = (pair: string, price: string): string => `[1,{"b":[["${price}","1.0","1.0"]]},"book-10","${pair}"]`;
  learning.map(delta("KSM/XBT", "bad"));
  expect(asked).toEqual([]);
  const [update] = learning.map(delta("KSM/XBT", "1.0")) as readonly MappedUpdate[];
  learning.map(delta("KSM/XBT", "2.0"));
  expect(update?.channel).toBe("ksmxbt@depth");
  expect(learning.map(delta("NO/NO", "1.0"))).toMatchObject({ malformed: "instrument refused" });
  expect(asked).toEqual(["spot KSM/XBT", "spot NO/NO"]);
});
