/** Each recording, once through `replay` and once from the test server, ends in the same books at a native client. */
import { expect, test } from "bun:test";
import { channelName, symbolOf } from "../../src/channel/name.ts";
import { feed } from "../feeds.ts";
import type { NativeClient } from "../lib/native-client.ts";
import type { PlainDepth } from "../lib/plain-book.ts";
import { startTestNode } from "../lib/test-node.ts";
import { waitFor } from "../lib/wait.ts";
import { DigestBook } from "../venue/digest-book.ts";
import { VenueServer } from "../venue/venue-server.ts";
import { SCRIPTS, type Scripted } from "./scripts.ts";

/** The books that a recording's own messages make: those of Binance begin with nothing. */
function folded({ speech, options }: Scripted): Map<string, PlainDepth> {
  const books = new Map<string, DigestBook>();
  for (const frame of options.script) {
    const change = speech.read(frame);
    if (change === null) continue;
    const book = books.get(change.symbol) ?? new DigestBook();
    books.set(change.symbol, book);
    if (change.type === "snapshot") book.clear();
    book.apply(change.bids, change.asks);
    if (speech.window < Number.POSITIVE_INFINITY) book.truncate(speech.window);
  }
  return new Map([...books].map(([symbol, book]) => [symbol, book.depth()]));
}

const channelOf = ({ venue }: Scripted, symbol: string): string =>
  channelName(venue === "binance-usdm" ? "usdm" : "spot", symbolOf(symbol), "depth", "spot");

async function depths(client: NativeClient, script: Scripted): Promise<Map<string, PlainDepth>> {
  const channels = script.symbols.map((symbol) => channelOf(script, symbol));
  const reply = await client.subscribe(channels);
  expect(reply.errors).toBeUndefined();
  await waitFor(() => channels.every((channel) => client.stream(channel).pushes.length > 0), "every book has come");
  return new Map(script.symbols.map((symbol) => [symbol, client.stream(channelOf(script, symbol)).book.depth()]));
}

for (const script of SCRIPTS) {
  const { name, venue: venueName, symbols, options, recording } = script;
  const path = recording === null ? null : feed(recording);

  const replayed = async (): Promise<void> => {
    await using node = await startTestNode({ replay: path ?? "", speed: "max" });
    await node.ended();
    const { malformed, refused, resyncs, staleBooks, partialBooks } = node.shard();
    // Binance's recordings hold no snapshots.
    expect(partialBooks).toBe(options.start === undefined ? 0 : symbols.length);
    expect({ malformed, refused, resyncs, staleBooks }).toEqual({
      malformed: {},
      refused: {},
      resyncs: {},
      staleBooks: [],
    });
    expect(await depths(await node.native(), script)).toEqual(folded(script));
  };
  if (path !== null) test(`recording ${name} - replayed, its books are the fold of its messages`, replayed);

  test(`recording ${name} - from the test server, its books are the venue's, at a client that was there all the time`, async () => {
    await using venue = await VenueServer.start(options);
    const { ws: upstreamUrl, http: upstreamRest } = venue.socket;
    const flags = venueName.startsWith("binance") ? { upstreamUrl, upstreamRest } : { upstreamUrl };
    await using node = await startTestNode({ upstream: `${venueName}:${symbols.join(",")}`, ...flags });
    const client = await node.native();
    const reply = await client.subscribe(symbols.map((symbol) => channelOf(script, symbol)));
    expect(reply.errors).toBeUndefined();
    await waitFor(() => symbols.every((symbol) => venue.follows(symbol)), "every book is subscribed");
    while (!venue.ended) {
      venue.play(300);
      await Bun.sleep(1);
    }
    const equals = (symbol: string): boolean =>
      Bun.deepEquals(client.stream(channelOf(script, symbol)).book.depth(), venue.depth(symbol));
    await waitFor(
      () => symbols.every(equals),
      () => `books equal the venue's: ${symbols.filter((symbol) => !equals(symbol)).join(", ")}`,
    );
    for (const symbol of symbols) expect(client.stream(channelOf(script, symbol)).faults).toEqual([]);
    // Where the script begins with its snapshots, both ways end in the same.
    if (options.start === undefined) {
      expect(new Map(symbols.map((symbol) => [symbol, venue.depth(symbol)]))).toEqual(folded(script));
    }
  });
}
