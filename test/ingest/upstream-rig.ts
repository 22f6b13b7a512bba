/**
 * An upstream source and its shard against the test server: publications are recorded, a follower's book is kept from
 * them exactly as a client would, and time runs faster than the wall.
 */
import { channelName, symbolOf } from "../../src/channel/name.ts";
import { InstrumentRegistry } from "../../src/channel/registry.ts";
import type { Publication } from "../../src/channel/types.ts";
import { MemoryCheckpoints } from "../../src/ingest/checkpoint.ts";
import { createMapper, learnInto } from "../../src/ingest/mapper/mod.ts";
import { ChannelOwners } from "../../src/ingest/owners.ts";
import type { Recorder } from "../../src/ingest/recorder.ts";
import { Shard } from "../../src/ingest/shard.ts";
import type { Source } from "../../src/ingest/source.ts";
import { RecordingBus } from "../../src/ingest/testing/rig.ts";
import { parseUpstream, type TlsOptions, upstreamInputs } from "../../src/ingest/websocket/mod.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/lib/log.ts";
import type { PlainDepth } from "../lib/plain-book.ts";
import { waitFor } from "../lib/wait.ts";
import { DigestBook } from "../venue/digest-book.ts";
import type { VenueServer } from "../venue/venue-server.ts";

/** A clock that runs `times` as fast as the real one. */
export function fastClock(times: number): Clock {
  const real = systemClock();
  const startUs = real.wallUs();
  const startMs = real.monotonicMs();
  const monotonicMs = (): number => (real.monotonicMs() - startMs) * times;
  return {
    wallUs: () => startUs + Math.floor(monotonicMs() * 1000),
    monotonicMs,
    after: (ms, call) => real.after(ms / times, call),
  };
}

/** A follower's view of one channel, by the rules that a client has. */
export class Follower {
  readonly book = new DigestBook();
  stale = false;
  begun = false;
  last: number | null = null;
  /** What broke the rules. */
  broken: string | null = null;

  take(publication: Publication): void {
    const { type, data, prev, seq } = publication;
    if (this.last !== null && prev !== this.last) this.broken ??= `prev ${prev} after ${this.last}`;
    this.last = seq;
    if (type === "snapshot") {
      this.book.clear();
      this.book.apply(data.bids, data.asks);
      this.stale = false;
      this.begun = true;
    } else if (type === "delta") {
      if (this.stale) this.broken ??= "a delta while stale";
      this.book.apply(data.bids, data.asks);
    } else if (type === "stale") {
      this.stale = true;
    }
  }

  depth(): PlainDepth {
    return this.book.depth();
  }
}

class FollowingBus extends RecordingBus {
  readonly books = new Map<string, Follower>();
  /** Called when a book was published on. */
  changed: (channel: string, follower: Follower) => void = () => undefined;

  override publish(...args: Parameters<RecordingBus["publish"]>): void {
    super.publish(...args);
    const publication = args[2];
    if (publication.kind !== "depth") return;
    let follower = this.books.get(publication.channel);
    if (follower === undefined) {
      follower = new Follower();
      this.books.set(publication.channel, follower);
    }
    follower.take(publication);
    this.changed(publication.channel, follower);
  }
}

export interface UpstreamRig extends AsyncDisposable {
  readonly bus: FollowingBus;
  readonly shards: readonly Shard[];
  readonly sources: readonly Source[];
  readonly warnings: string[];
  book(symbol: string): Follower;
  stop(): Promise<void>;
}

export interface UpstreamRigOptions {
  readonly venue: string;
  readonly symbols: readonly string[];
  readonly url: string;
  readonly rest?: string;
  readonly tls?: TlsOptions;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Writes down what the first connection's shard is given. */
  readonly recorder?: Recorder;
  /** Replaces the first connection's source by a replay of what was recorded. */
  readonly replay?: Source;
}

export async function startUpstream(options: UpstreamRigOptions): Promise<UpstreamRig> {
  const { venue: name, symbols, url, rest, tls, clock = systemClock(), random = () => 0.5 } = options;
  const upstream = parseUpstream(`${name}:${symbols.join(",")}`);
  const registry = new InstrumentRegistry();
  const bus = new FollowingBus();
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
  const inputs = upstreamInputs(upstream, {
    clock,
    random,
    log,
    defaultMarket: "spot",
    url,
    ...(rest === undefined ? {} : { rest }),
    ...(tls === undefined ? {} : { tls }),
    ...(options.recorder && { watchOf: (at: number) => (at === 0 ? options.recorder! : DEAF) }),
  });
  if (options.replay !== undefined) inputs.splice(1);
  const owners = new ChannelOwners();
  const shards = inputs.map(
    ({ id, source }, at) =>
      new Shard({
        id,
        source: options.replay ?? (at === 0 && options.recorder ? teed(source, options.recorder) : source),
        mapper: createMapper(upstream.venue.mapper, { learn: learnInto(registry, () => undefined), window: 1000 }),
        bus,
        catalog: registry,
        owners,
        checkpoints: new MemoryCheckpoints(),
        clock,
        topicOf: (channel) => channel,
        provides: upstream.venue.provides,
        log,
        randomId: () => "epoch",
      }),
  );
  for (const shard of shards) await shard.start();
  const stop = async (): Promise<void> => {
    await Promise.all(shards.map((shard) => shard.stop()));
  };
  return {
    bus,
    shards,
    sources: inputs.map(({ source }) => source),
    warnings,
    book: (symbol) => {
      const follower = bus.books.get(channelName(upstream.venue.market, symbolOf(symbol), "depth", "spot"));
      return follower ?? new Follower();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const DEAF = { connected: () => undefined, sent: () => undefined };

/** The same source, with everything it hands on recorded first. */
const teed = (source: Source, recorder: Recorder): Source => ({
  name: source.name,
  replayable: false,
  run: (sink, from, signal) =>
    source.run(
      {
        accept(record) {
          recorder.accept(record);
          sink.accept(record);
        },
        busy: () => sink.busy() ?? recorder.busy(),
      },
      from,
      signal,
    ),
  resync: (channel) => source.resync?.(channel),
  status: () => source.status(),
});

/** Every followed book equals the venue's; says which does not. */
export function difference(rig: UpstreamRig, venue: VenueServer, symbols = venue.symbols): string | null {
  for (const symbol of symbols) {
    const follower = rig.book(symbol);
    if (follower.broken !== null) return `${symbol}: ${follower.broken}`;
    if (follower.stale || !follower.begun) return `${symbol} is ${follower.begun ? "stale" : "absent"}`;
    if (JSON.stringify(follower.depth()) !== JSON.stringify(venue.depth(symbol))) return `${symbol} differs`;
  }
  return null;
}

export const settled = (rig: UpstreamRig, venue: VenueServer, ms?: number): Promise<void> =>
  waitFor(
    () => difference(rig, venue) === null,
    () =>
      `books equal the venue's: ${difference(rig, venue)} ${JSON.stringify(rig.shards.map((s) => s.status().source))}`,
    ms,
  );
