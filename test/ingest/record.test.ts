import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { record } from "../../src/cli/record.ts";
import { recorded } from "../../src/ingest/recorded.ts";
import { Recorder } from "../../src/ingest/recorder.ts";
import { createReplay } from "../../src/ingest/replay.ts";
import { inspectReplay } from "../../src/ingest/replay-file.ts";
import { parseUpstream } from "../../src/ingest/websocket/mod.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { startTestNode } from "../lib/test-node.ts";
import { waitFor } from "../lib/wait.ts";
import { VenueServer } from "../venue/venue-server.ts";
import { SCRIPTS } from "./scripts.ts";
import { fastClock, settled, startUpstream, type UpstreamRig } from "./upstream-rig.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-record-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the first shard published, without what a new epoch changes. */
function published(rig: UpstreamRig) {
  const shard = rig.shards[0]!.status();
  return rig.bus.published
    .filter(({ header }) => header.shard === shard.id)
    .map(({ publication }) => ({
      ...publication,
      seq: publication.seq - shard.base,
      prev: publication.prev === null ? null : publication.prev - shard.base,
      receivedUs: 0,
      data: countedFromZero(publication.data, shard.base),
    }));
}

/** aggTrades that were counted, not numbered by the venue, count from the base. */
function countedFromZero(data: unknown, base: number): unknown {
  if (!Array.isArray(data)) return data;
  return data.map((item: { readonly a?: number }) =>
    item.a !== undefined && item.a >= base ? { ...item, a: item.a - base } : item,
  );
}

for (const { name, venue: venueName, symbols, options } of SCRIPTS) {
  test(`record ${name} - what was recorded through cuts and other faults replays as the same publications`, async () => {
    const path = join(folder, `${name}.txt`);
    const { base, links } = parseUpstream(`${venueName}:${symbols.join(",")}`).venue;
    const url = base + links(symbols)[0]!.path;
    const recorder = new Recorder(path, url, systemClock(), true);
    await using venue = await VenueServer.start(options);
    let frames = 0;
    venue.fault = (frame) => {
      frames++;
      // A snapshot that comes twice makes Coinbase connect again and again.
      const isTwice = frames % 37 === 0 && !frame.includes('"snapshot"');
      return frames === 60 ? "cut" : frames === 100 ? "garble" : isTwice ? "twice" : "none";
    };
    const { ws, http: rest } = venue.socket;
    const upstream = { venue: venueName, symbols, url: ws, rest, clock: fastClock(50) };
    const live = await startUpstream({ ...upstream, recorder });
    await waitFor(() => symbols.every((symbol) => venue.follows(symbol)), "every book is subscribed");
    while (!venue.ended) {
      venue.play(venue.at < 200 ? 5 : 400);
      await Bun.sleep(venue.at < 200 ? 3 : 1);
    }
    await settled(live, venue);
    await live.stop();
    await recorder.close();
    const expected = published(live);
    expect(live.shards[0]!.status().losses).toBeGreaterThan(0);

    const { repairs, window } = recorded(inspectReplay(path));
    expect({ repairs, window }).toEqual({ repairs: true, window: venueName === "kraken" ? 1000 : undefined });
    const once = { speed: Number.POSITIVE_INFINITY, loop: false };
    const replay = createReplay({ path, ...once, repairs, clock: systemClock() });
    await using again = await startUpstream({ ...upstream, url: ws, replay });
    await again.shards[0]!.ended;
    const repeated = published(again);
    expect(repeated.length).toBe(expected.length);
    for (const [at, publication] of expected.entries()) {
      if (!Bun.deepEquals(repeated[at], publication)) expect(repeated[at]).toEqual(publication);
    }
  });
}

const kraken = SCRIPTS.find(({ venue }) => venue === "kraken");

test.skipIf(kraken === undefined)(
  "record - the command writes a file that serve replays, and ends after a count",
  async () => {
    const { options, symbols, venue: name } = kraken!;
    await using venue = await VenueServer.start(options);
    const out = join(folder, "command.txt");
    const said: string[] = [];
    const what = `${name}:${symbols.join(",")}`;
    const request = { what, out, send: [], seconds: 30, count: 1500, url: venue.socket.ws };
    const done = record(request, { err: (text) => void said.push(text), onEnd: () => undefined });
    await waitFor(() => symbols.every((symbol) => venue.follows(symbol)), "every book is subscribed");
    venue.play(2000);
    expect(await done).toBe(0);
    expect(said).toEqual([`1500 records in ${out}\n`]);
    expect(inspectReplay(out)).toMatchObject({ url: "wss://ws.kraken.com/v2", venue: "kraken" });
    await using node = await startTestNode({ replay: out, speed: "max" });
    await node.ended();
    const { records, malformed, resyncs, staleBooks, books } = node.shard();
    expect({ records, malformed, resyncs, staleBooks, books }).toEqual({
      records: 1500,
      malformed: {},
      resyncs: {},
      staleBooks: [],
      books: symbols.length,
    });
  },
);

test.skipIf(kraken === undefined)(
  "record - a URL is recorded as it comes, with the frames that were sent",
  async () => {
    await using venue = await VenueServer.start(kraken!.options);
    const out = join(folder, "url.txt");
    const send = ['{"method":"subscribe","params":{"channel":"book","symbol":["XMR/USD"],"depth":1000}}'];
    const request = { what: `${venue.socket.ws}/v2`, out, send, seconds: 30, count: 2 };
    const done = record(request, { err: () => undefined, onEnd: () => undefined });
    expect(await done).toBe(0);
    const lines = readFileSync(out, "utf8").trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/v2 <-> \d+\.\d{6}$/);
    expect(lines[1]).toEndWith(`: ${send[0]}`);
    expect(lines[2]).toMatch(/^\d+\.\d{6}: \{"channel":"status"/);
  },
);

test("record - what cannot be written or asked is one clear sentence", async () => {
  const world = { err: () => undefined, onEnd: () => undefined };
  const request = { what: "kraken:BTC/USD", out: join(folder, "x"), send: [], seconds: null, count: null };
  const messages: string[] = [];
  for (const wrong of [
    { out: join(folder, "no", "such") },
    { what: "nowhere:A/B" },
    { send: ["x"] },
    { ca: "absent" },
  ]) {
    const error: unknown = await record({ ...request, ...wrong }, world).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(GatewayError);
    messages.push(error instanceof GatewayError ? error.message : "");
  }
  expect(messages[0]).toStartWith(`cannot write ${join(folder, "no", "such")}`);
  expect(messages[1]).toStartWith('upstream: there is no venue "nowhere"');
  expect(messages.slice(2)).toEqual([
    "--send is for a URL: a venue is told what to send by itself",
    "--upstream-ca: cannot read absent",
  ]);
});
