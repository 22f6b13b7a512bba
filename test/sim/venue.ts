/**
 * A venue: a scripted source that keeps the truth about its books and trades while it sends records, good and bad.
 *
 * The truth is the venue's own: a delta that is dropped, corrupted or out of order on its way still happened. A trade is
 * in the truth if it was sent whole; what happened while the connection was lost is one `gap` at the `lost` record.
 */
import type { Depth, Level, Trade } from "../../src/channel/types.ts";
import type { MappedUpdate, Mapper } from "../../src/ingest/mapper/mapper.ts";
import type { RecordSink, Source, SourceRecord, SourceStatus } from "../../src/ingest/source.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { wallMs } from "../../src/lib/clock.ts";
import { checksum, ModelBook } from "./model-book.ts";
import type { Random } from "./random.ts";

export interface TrueTrade {
  /** What native clients see. */
  readonly id: string;
  /** What Binance clients see. */
  readonly t: number;
  readonly seq: number;
  readonly epoch: number;
  readonly atMs: number;
}

export interface TrueGap {
  readonly seq: number;
  readonly epoch: number;
}

/** One instrument at its venue. */
export class Listing {
  readonly symbol: string;
  /** Levels the venue shows; 0 = all. */
  readonly window: number;
  readonly book = new ModelBook();
  readonly trades: TrueTrade[] = [];
  readonly gaps: TrueGap[] = [];
  /** Trades in this epoch: the chain exists. */
  tradesInEpoch = 0;
  /** Until then the venue sends no snapshot that it is asked for. */
  heldUntilMs = 0;
  /** The venue will not send a good snapshot of it any more. */
  broken = false;

  constructor(symbol: string, window: number) {
    this.symbol = symbol;
    this.window = window;
  }
}

export interface VenueOptions {
  readonly name: string;
  readonly listings: readonly Listing[];
  readonly clock: Clock;
  /** Trades have decimal ids of the venue; else the shard counts them. */
  readonly ownIds: boolean;
  /** The base of the shard's epoch. */
  readonly base: () => number;
  /** The shard found a book wrong. */
  readonly resyncAsked: (listing: Listing) => void;
}

type Sent = SourceRecord extends infer R ? (R extends unknown ? Omit<R, "offset" | "receivedUs"> : never) : never;

const ZEROS = ["0", "0.000"];
const QUANTITIES = ["1", "2.5", "0.10", "3.000", "7", "12.25"];

export class Venue implements Source {
  readonly name: string;
  readonly replayable = false;
  readonly listings: readonly Listing[];
  epoch = 1;
  readonly #options: VenueOptions;
  #sink: RecordSink | null = null;
  #offset = 0;
  #records = 0;
  #last: SourceRecord | null = null;
  #ids = 0;
  #base: number | null = null;

  constructor(options: VenueOptions) {
    this.name = options.name;
    this.listings = options.listings;
    this.#options = options;
  }

  // --- the source -------------------------------------------------------------------------------------------------

  run(sink: RecordSink, _from: number | null, signal: AbortSignal): Promise<void> {
    this.#sink = sink;
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  resync(channel: string): void {
    const listing = this.listings.find((one) => `${one.symbol}@depth` === channel);
    if (listing !== undefined) this.#options.resyncAsked(listing);
  }

  status(): SourceStatus {
    return { state: { name: "connected" }, lagMs: null, records: this.#records, reconnects: 0 };
  }

  // --- what happens at the venue ----------------------------------------------------------------------------------

  /** The book changes; nobody is told. */
  change(listing: Listing, random: Random): Depth {
    const delta = randomDelta(random);
    listing.book.apply(delta);
    listing.book.truncate(listing.window);
    return delta;
  }

  delta(listing: Listing, random: Random, checked: boolean): void {
    this.#update(this.#deltaOf(listing, this.change(listing, random), checked));
  }

  trades(listing: Listing, random: Random, pad: number): void {
    this.#update(this.#tradesOf(listing, random, pad));
  }

  deltaAndTrades(listing: Listing, random: Random, pad: number): void {
    const delta = this.#deltaOf(listing, this.change(listing, random), random.chance(0.5));
    this.#update(delta, this.#tradesOf(listing, random, pad));
  }

  /** `bad`: it does not verify. */
  snapshot(listing: Listing, bad = false): void {
    this.#update(this.#snapshotOf(listing, bad || listing.broken));
  }

  /** Two updates of one channel in a record. */
  twoDeltas(listing: Listing, random: Random): void {
    const first = this.#deltaOf(listing, this.change(listing, random), false);
    this.#update(first, this.#deltaOf(listing, this.change(listing, random), true));
  }

  /** The second overtakes the first. */
  swapped(listing: Listing, random: Random): void {
    const first = this.#deltaOf(listing, this.change(listing, random), true);
    const second = this.#deltaOf(listing, this.change(listing, random), true);
    this.#update(second);
    this.#update(first);
  }

  /** Other quantities than the venue's, under the venue's checksum. */
  corrupted(listing: Listing, random: Random): void {
    const delta = this.#deltaOf(listing, this.change(listing, random), true);
    this.#update({ ...delta, data: { bids: [["90", "666"]], asks: [] } } as MappedUpdate);
  }

  crossed(listing: Listing, random: Random): void {
    this.change(listing, random);
    this.#update(this.#deltaOf(listing, { bids: [["150", "1"]], asks: [["101", "1"]] }, false));
  }

  malformedLevel(listing: Listing, random: Random): void {
    const delta = this.change(listing, random);
    const bids: Level[] = [...delta.bids, ["9x", "1"]];
    this.#update(this.#deltaOf(listing, { ...delta, bids }, true));
  }

  malformedTrade(listing: Listing): void {
    const bad: Trade = { id: "bad", t: 1, price: "NaN", quantity: "1", side: "buy", time: wallMs(this.#options.clock) };
    this.#update({ ...this.#common(listing, "trade"), type: "items", data: [bad] } as MappedUpdate);
  }

  garbage(random: Random): void {
    this.#send({ type: "data", value: random.pick([null, "garbage", 42, { updates: "none" }]) });
  }

  unknown(): void {
    this.#update({
      channel: "nobody@trade",
      kind: "trade",
      user: "",
      time: wallMs(this.#options.clock),
      type: "items",
      data: [],
    });
  }

  emptyDelta(listing: Listing): void {
    this.#update(this.#deltaOf(listing, { bids: [], asks: [] }, true));
  }

  /** The venue itself says that its book is not to be trusted. */
  stale(listing: Listing): void {
    this.#update({ ...this.#common(listing, "depth"), type: "stale", data: "sequence" } as MappedUpdate);
  }

  /** The last record once more, under its old offset or an older one. */
  again(random: Random): void {
    if (this.#last === null) return;
    const offset = Math.max(0, this.#last.offset - random.int(0, 2));
    this.#sink?.accept({ ...this.#last, offset });
  }

  clock(): void {
    this.#send({ type: "clock", time: wallMs(this.#options.clock) });
  }

  lost(): void {
    const seq = this.#send({ type: "lost" });
    for (const listing of this.listings) {
      if (listing.tradesInEpoch > 0) listing.gaps.push({ seq, epoch: this.epoch });
    }
  }

  newEpoch(): void {
    this.#send({ type: "epoch" });
    this.#offset = 0;
    this.#base = null;
    this.#last = null;
    this.epoch++;
    for (const listing of this.listings) listing.tradesInEpoch = 0;
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #common(listing: Listing, kind: "depth" | "trade") {
    return {
      channel: `${listing.symbol}@${kind}`,
      kind,
      user: "",
      time: wallMs(this.#options.clock),
    };
  }

  #deltaOf(listing: Listing, data: Depth, checked: boolean): MappedUpdate {
    return {
      ...this.#common(listing, "depth"),
      type: "delta",
      data,
      window: listing.window,
      ...(checked ? { checksum: checksum(listing.book.depth()) } : {}),
    } as MappedUpdate;
  }

  #snapshotOf(listing: Listing, bad: boolean): MappedUpdate {
    const data = listing.book.depth();
    return {
      ...this.#common(listing, "depth"),
      type: "snapshot",
      data: bad ? { bids: [["90", "666"]], asks: data.asks } : data,
      window: listing.window,
      checksum: checksum(data),
    } as MappedUpdate;
  }

  /** One to three trades, noted as true under the seq that the record is about to get. */
  #tradesOf(listing: Listing, random: Random, pad: number): MappedUpdate {
    const { clock, ownIds } = this.#options;
    const data: Trade[] = [];
    for (let left = random.int(1, 3); left > 0; left--) {
      const number = ++this.#ids;
      const id = `${number}${"-".repeat(pad)}`;
      const t = ownIds ? number : this.#baseOf() + listing.tradesInEpoch;
      listing.tradesInEpoch++;
      listing.trades.push({ id, t, seq: this.#nextSeq(), epoch: this.epoch, atMs: clock.monotonicMs() });
      const price = String(90 + random.int(0, 20));
      const side = random.chance(0.5) ? "buy" : "sell";
      data.push({ id, t: ownIds ? number : -1, price, quantity: random.pick(QUANTITIES), side, time: wallMs(clock) });
    }
    return { ...this.#common(listing, "trade"), type: "items", data } as MappedUpdate;
  }

  #update(...updates: MappedUpdate[]): void {
    this.#send({ type: "data", value: { updates } });
  }

  #baseOf(): number {
    this.#base ??= this.#options.base();
    return this.#base;
  }

  #nextSeq(): number {
    return this.#baseOf() + this.#offset;
  }

  /** The seq it gets. */
  #send(sent: Sent): number {
    const seq = this.#nextSeq();
    const record = { ...sent, offset: this.#offset++, receivedUs: this.#options.clock.wallUs() } as SourceRecord;
    this.#records++;
    this.#last = record;
    this.#sink?.accept(record);
    return seq;
  }
}

function randomDelta(random: Random): Depth {
  return { bids: randomLevels(random, 80, 99), asks: randomLevels(random, 101, 120) };
}

function randomLevels(random: Random, from: number, to: number): Level[] {
  const levels: Level[] = [];
  for (let left = random.int(0, 4); left > 0; left--) {
    const price = String(random.int(from, to));
    const quantity = random.chance(0.35) ? random.pick(ZEROS) : random.pick(QUANTITIES);
    // The same price in another spelling is the same level.
    levels.push([random.chance(0.1) ? `${price}.0` : price, quantity]);
  }
  return levels;
}

/** The mapper of these records. */
export const venueMapper: Mapper = {
  name: "venue",
  version: 1,
  map(value) {
    const updates = (value as { updates?: unknown } | null)?.updates;
    return Array.isArray(updates) ? (updates as MappedUpdate[]) : { malformed: "not a record of the venue" };
  },
  checksumOf: (book) => checksum({ bids: book.bids(), asks: book.asks() }),
};
