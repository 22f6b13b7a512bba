/**
 * Variant `whole`: the gateway's own path on one thread, as src/node.ts wires it for a standalone node, from the record's
 * text to the encoded frame in the ring: shard (mapper, book, CRC32, seq) -> memory bus -> follower -> engine -> ring.
 *
 * Ten native depth streams in real time are open, one for each pair, so every record is encoded and written. Nobody reads
 * the ring while it is measured (workers have cores of their own); at the end one pass is read back and must give, pair by
 * pair, the very levels the bare loop has.
 */
import { createFollower } from "../../src/bus/follower.ts";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { type Book, createBook } from "../../src/channel/book.ts";
import { InstrumentRegistry } from "../../src/channel/registry.ts";
import { Engine } from "../../src/engine/engine.ts";
import { MemoryCheckpoints } from "../../src/ingest/checkpoint.ts";
import { createMapper, learnInto } from "../../src/ingest/mapper/mod.ts";
import { ChannelOwners } from "../../src/ingest/owners.ts";
import { Shard } from "../../src/ingest/shard.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { binanceEncoder } from "../../src/protocol/binance/mod.ts";
import { nativeEncoder } from "../../src/protocol/native/mod.ts";
import { RecordKind, type TopicInfo } from "../../src/ring/messages.ts";
import {
  createRing,
  createRingReader,
  createRingWriter,
  RING_BYTES_DEFAULT,
  type RingReader,
} from "../../src/ring/mod.ts";
import { BareBook, bareParse } from "./pipeline-bare.ts";
import type { Expected, Variant } from "./pipeline-variants.ts";
import { BATCH, recordedSource, turn } from "./recorded-texts.ts";

const WORKER = 0;

export async function wholeVariant(texts: readonly string[]): Promise<Variant> {
  const clock = systemClock();
  const registry = new InstrumentRegistry();
  const problems: string[] = [];
  const note = (message: string, fields?: object): void => void problems.push(`${message} ${JSON.stringify(fields)}`);
  const bus = createMemoryBus({ clock });
  const topicOf = (channel: string): string => `fanout.${channel}`;
  const learn = learnInto(registry, (error) => note(error.message));
  const shard = new Shard({
    id: "bench/0",
    source: recordedSource,
    mapper: createMapper("kraken_v1", { learn }),
    bus,
    catalog: registry,
    owners: new ChannelOwners(),
    checkpoints: new MemoryCheckpoints(),
    clock,
    topicOf,
    provides: [],
    log: { info: () => undefined, warn: note, error: note },
    randomId: () => "bench",
  });
  const follower = createFollower({ bus, clock, topicOf });
  const ring = createRing(RING_BYTES_DEFAULT, 1);
  const encoders = { native: nativeEncoder, binance: binanceEncoder };
  const engine = new Engine({ ring: createRingWriter(ring), clock, catalog: registry, follower, encoders });
  const reader = createRingReader(ring, WORKER, { startAt: "tail" });

  for (const pair of pairsOf(texts)) learn("spot", pair);
  await shard.start();
  const topics = await join(engine, registry, reader);

  let offset = 0;
  const record = (text: string): void => {
    // Each pass is an epoch of its own, as in a looping replay.
    if (offset === texts.length) {
      shard.accept({ type: "epoch", offset, receivedUs: clock.wallUs() });
      offset = 0;
    }
    shard.accept({ type: "data", offset: offset++, receivedUs: clock.wallUs(), value: text });
  };

  return {
    record,
    async fault(passes, expected) {
      const counted = countFault(shard, problems, passes, expected);
      return counted ?? (await readBack(texts, record, reader, topics));
    },
    async close() {
      await shard.stop();
      engine.close();
      follower.close();
      await bus.close();
    },
  };
}

function pairsOf(texts: readonly string[]): Set<string> {
  return new Set(texts.map(bareParse).flatMap((update) => (update === null ? [] : [update.pair])));
}

/** Opens a native real-time stream of every book; gives the channel of each topic number. */
async function join(engine: Engine, registry: InstrumentRegistry, reader: RingReader): Promise<Map<number, string>> {
  const topics = new Map<number, string>();
  let request = 0;
  for (const { symbol } of registry.list()) {
    const key = { channel: `${symbol}@depth`, rung: 0, dialect: "native", timeUnit: "ms" } as const;
    engine.handle(WORKER, { is: "join", request: request++, key, since: null });
  }
  let joined = 0;
  for (const end = performance.now() + 5000; joined < request && performance.now() < end; await turn()) {
    for (let one = reader.read(); one !== null && one !== "lapped"; one = reader.read()) {
      if (one.kind === RecordKind.ANNOUNCE) topics.set(one.topic, (JSON.parse(one.text) as TopicInfo).channel);
      if (one.kind === RecordKind.DIRECT) {
        if (!one.text.startsWith('{"is":"joined"')) throw new Error(`a join was answered with ${one.text}`);
        joined++;
      }
    }
  }
  if (joined < request) throw new Error(`${joined} of ${request} joins were answered`);
  return topics;
}

/** What the shard counted: everything published, nothing refused, no book ever wrong. */
function countFault(shard: Shard, problems: readonly string[], passes: number, expected: Expected): string | null {
  const { records, publications, malformed, refused, resyncs, failure } = shard.status();
  const wrong = JSON.stringify({ malformed, refused, resyncs, failure, problems: problems.slice(0, 3) });
  if (wrong !== '{"malformed":{},"refused":{},"resyncs":{},"failure":null,"problems":[]}') return wrong;
  const handed = passes * expected.records + passes - 1;
  if (records !== handed) return `records: ${records} instead of ${handed}`;
  const books = publications.depth ?? 0;
  return books === passes * expected.books ? null : `books: ${books} instead of ${passes * expected.books}`;
}

/** One more pass, read from the ring as a client would: null if it ends with the bare loop's books, text by text. */
async function readBack(
  texts: readonly string[],
  record: (text: string) => void,
  reader: RingReader,
  topics: ReadonlyMap<number, string>,
): Promise<string | null> {
  while (reader.read() !== null);
  const books = new Map<string, Book>();
  const bare = new Map<string, BareBook>();
  for (let at = 0; at < texts.length; at += BATCH) {
    for (const text of texts.slice(at, at + BATCH)) {
      record(text);
      const update = bareParse(text);
      if (update === null) continue;
      const channel = `${update.pair.toLowerCase().replace("/", "")}@depth`;
      const book = bare.get(channel) ?? new BareBook();
      bare.set(channel, book);
      if (!book.take(update)) return `the bare loop's own book of ${channel} is wrong`;
    }
    await turn();
    for (let one = reader.read(); one !== null; one = reader.read()) {
      if (one === "lapped") return "the reader was lapped within a batch";
      const channel = topics.get(one.topic);
      if (one.kind === RecordKind.PUBLISH && channel !== undefined) applyFrames(books, channel, one.text);
    }
  }
  for (const [channel, book] of bare) {
    const read = books.get(channel);
    const same = JSON.stringify([read?.bids(), read?.asks()]) === JSON.stringify([book.bids.all(), book.asks.all()]);
    if (!same) return `the book of ${channel} read from the ring is not the feed's`;
  }
  return books.size === bare.size ? null : `${books.size} books in the ring instead of ${bare.size}`;
}

function applyFrames(books: Map<string, Book>, channel: string, payload: string): void {
  const book = books.get(channel) ?? createBook();
  books.set(channel, book);
  for (const frame of payload.split("\n")) {
    const { type, data } = JSON.parse(`{${frame}`) as { type: string; data: { bids: []; asks: [] } };
    if (type === "snapshot") book.replace(data);
    else if (type === "delta") book.apply(data);
    else throw new Error(`a frame of type ${type} on ${channel}`);
  }
}
