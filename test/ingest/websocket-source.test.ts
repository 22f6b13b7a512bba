/** What the source does about its connection: it finds out, tells, and comes back. */
import { expect, test } from "bun:test";
import { parseUpstream } from "../../src/ingest/websocket/mod.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { waitFor } from "../lib/wait.ts";
import { selfSigned } from "../venue/certificate.ts";
import { krakenV1Speech } from "../venue/kraken-v1-speech.ts";
import { VenueServer } from "../venue/venue-server.ts";
import { fastClock, settled, startUpstream, type UpstreamRig } from "./upstream-rig.ts";

const SYMBOL = "XBT/USD";
const level = (price: string, quantity: string, second: number): string =>
  `["${price}","${quantity}","16186781${second}.000000"]`;
const SNAPSHOT = `[1,{"as":[${level("101.0", "1.0", 10)}],"bs":[${level("99.0", "1.0", 10)}]},"book-1000","${SYMBOL}"]`;
const change = (second: number): string =>
  `[1,{"b":[${level("98.0", `${second}.0`, second)}]},"book-1000","${SYMBOL}"]`;
const SCRIPT = [SNAPSHOT, ...Array.from({ length: 40 }, (_, at) => change(11 + at))];

const speech = { ...krakenV1Speech };
const open = (more: Partial<Parameters<typeof VenueServer.start>[0]> = {}): Promise<VenueServer> =>
  VenueServer.start({ speech, script: SCRIPT, ...more });
const start = (venue: VenueServer, more: object = {}): Promise<UpstreamRig> =>
  startUpstream({ venue: "kraken-v1", symbols: [SYMBOL], url: venue.socket.ws, clock: fastClock(50), ...more });
const source = (rig: UpstreamRig) => rig.shards[0]!.status().source;
const subscribed = (venue: VenueServer): Promise<void> =>
  waitFor(() => venue.follows(SYMBOL), "the book is subscribed");

test("websocket source - a cut connection is told at once, and the next one brings the book back in the same epoch", async () => {
  await using venue = await open();
  await using rig = await start(venue);
  await subscribed(venue);
  venue.play(5);
  await settled(rig, venue);
  for (const session of venue.sessions) session.cut();
  await waitFor(() => rig.book(SYMBOL).stale, "the book is stale");
  await subscribed(venue);
  venue.play(5);
  await settled(rig, venue);
  expect(rig.shards[0]!.status()).toMatchObject({ losses: 1, resyncs: { reconnect: 1 } });
  expect(source(rig).reconnects).toBe(1);
});

test("websocket source - a snapshot that nobody needed is believed: what was removed while it was asked for is gone", async () => {
  const removed = `[1,{"b":[["98.0","0.0","1618678160.000000"]]},"book-1000","${SYMBOL}"]`;
  const command: typeof speech.command = (text) => {
    // The old subscription has ended, the new one has not begun.
    if (text.includes('"subscribe"') && venue.at === 2) venue.play(1);
    return speech.command(text);
  };
  await using venue: VenueServer = await open({
    speech: { ...speech, command },
    script: [SNAPSHOT, change(11), removed],
  });
  await using rig = await start(venue);
  await subscribed(venue);
  venue.play(2);
  await settled(rig, venue);
  rig.sources[0]!.resync?.("xbtusd@depth");
  await waitFor(() => venue.ended && venue.follows(SYMBOL), "it is subscribed again");
  await settled(rig, venue);
  expect(venue.depth(SYMBOL).bids.map(([price]) => price)).toEqual(["99.0"]);
});

test("websocket source - a venue that goes silent, pongs and all, is left and dialled again", async () => {
  await using venue = await open();
  // Slower than the others: it is pinged before it is left, also by a busy process.
  await using rig = await start(venue, { clock: fastClock(15) });
  await subscribed(venue);
  venue.play(5);
  await settled(rig, venue);
  for (const session of venue.sessions) session.silent = true;
  await waitFor(() => source(rig).reconnects === 1, "it reconnected");
  expect(venue.heard.filter((text) => text.includes("ping")).length).toBeGreaterThan(0);
  await settled(rig, venue);
});

test("websocket source - a quiet venue that answers pings is not left", async () => {
  await using venue = await open();
  // Slower than the others: a pause of this busy process is not the venue's silence.
  await using rig = await start(venue, { clock: fastClock(15) });
  await subscribed(venue);
  venue.play(5);
  await waitFor(() => venue.heard.filter((text) => text.includes("ping")).length >= 8, "it was pinged for long");
  expect(source(rig).reconnects).toBe(0);
});

test("websocket source - a refusing venue is tried again and again with growing pauses, and the status says why", async () => {
  await using venue = await open();
  venue.socket.refuse = 403;
  await using rig = await start(venue);
  await waitFor(() => venue.socket.accepted >= 4, "it was tried");
  const { state } = source(rig);
  expect(state).toMatchObject({ name: "connecting" });
  if (state.name === "connecting") {
    expect(state.attempt).toBeGreaterThanOrEqual(4);
    expect(state.error).toContain("403");
  }
  venue.socket.refuse = null;
  await subscribed(venue);
  venue.play(5);
  await settled(rig, venue);
});

test("websocket source - a handshake without an answer is given up after a while", async () => {
  await using venue = await open();
  venue.socket.mute = true;
  await using rig = await start(venue);
  await waitFor(() => venue.socket.accepted >= 2, "it was tried again");
  venue.socket.mute = false;
  await subscribed(venue);
  expect(source(rig).reconnects).toBe(0);
});

test("websocket source - a certificate nobody vouches for is refused and said", async () => {
  const certificate = selfSigned();
  await using venue = await open({ certificate });
  await using rig = await start(venue);
  await waitFor(() => {
    const { state } = source(rig);
    return state.name === "connecting" && /certificate|self.signed/i.test(state.error);
  }, "the status names the certificate");
  expect(venue.sessions.length).toBe(0);
});

test("websocket source - a book whose checksum is wrong is asked for again without a new connection", async () => {
  const wrong = change(20).replace("}]}", "").replace('},"book-1000"', ',"c":"1"},"book-1000"');
  await using venue = await open({ script: [SNAPSHOT, change(11), wrong, ...SCRIPT.slice(20)] });
  await using rig = await start(venue);
  await subscribed(venue);
  venue.play(3);
  await settled(rig, venue);
  expect(rig.shards[0]!.status()).toMatchObject({ resyncs: { checksum: 1 }, losses: 0 });
  expect(venue.heard.filter((text) => text.includes('"unsubscribe"')).length).toBe(1);
});

test("websocket source - what the venue refuses to subscribe is in the log, the rest goes on", async () => {
  const refusal = '{"errorMessage":"Currency pair not supported","event":"subscriptionStatus","status":"error"}';
  await using venue = await open({ speech: { ...speech, greeting: refusal } });
  await using rig = await start(venue);
  await subscribed(venue);
  venue.play(5);
  await settled(rig, venue);
  expect(rig.warnings).toContain("upstream refuses");
});

test("upstream - typed names become the venue's own, each once", () => {
  const of = (text: string): readonly string[] => parseUpstream(text).symbols;
  expect(of("kraken:BTC/USD, eth-usd,BTC/USD")).toEqual(["BTC/USD", "ETH/USD"]);
  expect(of("coinbase:btc/usd")).toEqual(["BTC-USD"]);
  expect(of("okx:BTC-USD-220527,btc_usdt")).toEqual(["BTC-USD-220527", "BTC-USDT"]);
  expect(of("binance:btc/usdt")).toEqual(["BTCUSDT"]);
  expect(of("binance-usdm:BTCUSDT_250926")).toEqual(["BTCUSDT_250926"]);
});

test("upstream - what cannot be meant is refused with what to type", () => {
  const refusal = (text: string): string => {
    try {
      parseUpstream(text);
    } catch (error) {
      if (error instanceof GatewayError) return error.message;
    }
    return "";
  };
  expect(refusal("krakn:BTC/USD")).toBe('upstream: there is no venue "krakn", did you mean kraken?');
  expect(refusal("nyse:IBM")).toBe(
    'upstream: there is no venue "nyse", use one of kraken, kraken-v1, coinbase, binance, binance-usdm, okx',
  );
  expect(refusal("kraken:")).toBe("upstream: kraken needs symbols, for example kraken:BTC/USD");
  expect(refusal("kraken:BTCUSD")).toBe('upstream: "BTCUSD" is no symbol of kraken: write it like BTC/USD');
  const many = Array.from({ length: 201 }, (_, at) => `A${at}/B`).join(",");
  expect(refusal(`kraken:${many}`)).toBe("upstream: kraken: 201 symbols, at most 200 can be had");
});

test("upstream - Binance's streams are spread over connections of at most 1,024", () => {
  const symbols = Array.from({ length: 100 }, (_, at) => `A${at}USDT`);
  for (const [name, links] of [
    ["binance", 3],
    ["binance-usdm", 6],
  ] as const) {
    const made = parseUpstream(`${name}:${symbols.join(",")}`).venue.links(symbols);
    expect(made.length).toBe(links);
    expect(new Set(made.map((one) => one.name)).size).toBe(links);
    for (const { path } of made) expect(path.split("/").length).toBeLessThanOrEqual(1026);
  }
});
