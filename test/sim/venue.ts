/**
 * A venue: a scripted source that keeps the truth about its books and trades while it sends records, good and bad.
 *
 * The truth is the venue's own: a delta that is dropped, corrupted or out of order on its way still happened. A trade is
 * in the truth of every numbering in which an owner received it whole; what happened while a connection was lost is one
 * `gap` at the `lost` record. A replayable venue keeps a log and every connection reads it; any other is heard live.
 */
import type { Depth, Level, Trade } from "../../src/channel/types.ts";
import type { MappedUpdate, Mapper } from "../../src/ingest/mapper/mapper.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { wallMs } from "../../src/lib/clock.ts";
import { type BookThen, Connection, type ConnectionPorts, type Entry, type Happened, type Sent } from "./connection.ts";
import { checksum, ModelBook } from "./model-book.ts";
import type { Random } from "./random.ts";

export interface TrueTrade {
  /** What native clients see. */
  readonly id: string;
  /** What Binance clients see. */
  readonly t: number;
  readonly seq: number;
  /** Where its numbering stands among those of the venue. */
  readonly epoch: number;
  readonly atMs: number;
}

export interface TrueGap {
  readonly seq: number;
  readonly epoch: number;
}

/** One incarnation of a shard's numbering, as the venue knows it. */
export interface TrueEpoch {
  readonly rank: number;
  readonly base: number;
  /** Records below are noted already: a replay repeats them. */
  next: number;
  readonly trades: Map<Listing, number>;
  /** Books that a snapshot began. */
  readonly whole: Set<Listing>;
}

/** One instrument at its venue. */
export class Listing {
  readonly symbol: string;
  /** Levels the venue shows; 0 = all. */
  readonly window: number;
  readonly book = new ModelBook();
  readonly gaps: TrueGap[] = [];
  /** Until then the venue sends no snapshot that it is asked for. */
  heldUntilMs = 0;
  /** The venue will not send a good snapshot of it any more. */
  broken = false;
  /** An epoch that had ended came back, for a store lost the newer one: which trades are of now cannot be said. */
  returned = false;
  /** Its records say all that happened, since the last snapshot. */
  clean = false;
  /** By seq: what the book was. Numbers of different epochs meet only where a store lost them. */
  readonly books = new Map<number, string>();
  readonly #trades: TrueTrade[] = [];
  #sorted = true;

  constructor(symbol: string, window: number) {
    this.symbol = symbol;
    this.window = window;
  }

  traded(trade: TrueTrade): void {
    const last = this.#trades.at(-1);
    if (last !== undefined && before(trade, last)) this.#sorted = false;
    this.#trades.push(trade);
  }

  /** In the order of their epochs and seqs, whoever published them when. */
  get trades(): readonly TrueTrade[] {
    if (!this.#sorted) this.#trades.sort((a, b) => (before(a, b) ? -1 : before(b, a) ? 1 : 0));
    this.#sorted = true;
    return this.#trades;
  }
}

const before = (a: TrueTrade, b: TrueTrade): boolean => a.epoch < b.epoch || (a.epoch === b.epoch && a.seq < b.seq);

export interface VenueOptions {
  readonly name: string;
  readonly listings: readonly Listing[];
  readonly clock: Clock;
  readonly replayable: boolean;
  /** Where an owner without a position begins to read the log. */
  readonly startsAt: "earliest" | "latest";
  /** A reader that is behind gets five records every so many ms; 0: all at once. */
  readonly paceMs: number;
  /** Trades have decimal ids of the venue; else the shard counts them. */
  readonly ownIds: boolean;
  /** Where an epoch id stands among those of the venue. */
  readonly rankOf: (epoch: string) => number;
  /** The shard found a book wrong. */
  readonly resyncAsked: (listing: Listing) => void;
  /** Somebody reads it from now on. */
  readonly connected: () => void;
}

const ZEROS = ["0", "0.000"];
const QUANTITIES = ["1", "2.5", "0.10", "3.000", "7", "12.25"];

export class Venue {
  readonly name: string;
  readonly replayable: boolean;
  readonly listings: readonly Listing[];
  readonly options: VenueOptions;
  /** How many times the log was deleted and made again. */
  generation = 0;
  logStart = 0;
  readonly log: Entry[] = [];
  readonly #connections = new Set<Connection>();
  readonly #epochs = new Map<string, TrueEpoch>();
  /** Seqs of an epoch were at or below those of one before. */
  fell = false;
  #highest = -1;
  #ids = 0;

  constructor(options: VenueOptions) {
    this.name = options.name;
    this.replayable = options.replayable;
    this.listings = options.listings;
    this.options = options;
  }

  // --- its readers ------------------------------------------------------------------------------------------------

  /** A source for one owner. */
  connect(ports: ConnectionPorts): Connection {
    return new Connection(this, ports);
  }

  /** Somebody hears it now. */
  get heard(): boolean {
    return [...this.#connections].some(({ isDown }) => !isDown);
  }

  /** It is read by an owner whose numbers have this base. */
  opened(connection: Connection, base: number): void {
    this.#connections.add(connection);
    // A store that lost the newer epoch was filled by a former owner: the older one goes on.
    const newest = Math.max(...[...this.#epochs.values()].map((one) => one.base), -1);
    if (base < newest) {
      this.fell = true;
      for (const listing of this.listings) listing.returned = true;
    }
    this.options.connected();
  }

  closed(connection: Connection): void {
    this.#connections.delete(connection);
  }

  /** The numbering of this id, met for the first time or again. */
  epochOf({ epoch, base }: { readonly epoch: string; readonly base: number }): TrueEpoch {
    const known = this.#epochs.get(epoch);
    if (known !== undefined) return known;
    // Only a store that lost what was used lets numbers fall.
    if (base <= this.#highest) this.fell = true;
    const made: TrueEpoch = { rank: this.options.rankOf(epoch), base, next: 0, trades: new Map(), whole: new Set() };
    this.#epochs.set(epoch, made);
    return made;
  }

  /** The highest base that is not above `seq`. */
  baseOf(seq: number): number {
    let found = -1;
    for (const { base } of this.#epochs.values()) if (base <= seq && base > found) found = base;
    return found;
  }

  /** An owner takes the record as number `offset` of the epoch. */
  taken(entry: Entry, offset: number, epoch: TrueEpoch): void {
    if (offset < epoch.next) return;
    // Of a log every record counts, also one that its reader left out.
    const isBegun = this.replayable && epoch.next > 0 && entry.sent.type !== "epoch";
    for (let at = epoch.next; isBegun && at < offset; at++) {
      const skipped = this.log[at - this.logStart];
      if (skipped !== undefined) this.#note(skipped, at, epoch);
    }
    epoch.next = offset + 1;
    this.#note(entry, offset, epoch);
  }

  #note(entry: Entry, offset: number, epoch: TrueEpoch): void {
    const seq = epoch.base + offset;
    this.#highest = Math.max(this.#highest, seq);
    const atMs = this.options.clock.monotonicMs();
    for (const { listing, id, own } of entry.trades) {
      const count = epoch.trades.get(listing) ?? 0;
      epoch.trades.set(listing, count + 1);
      listing.traded({ id, t: own ?? epoch.base + count, seq, epoch: epoch.rank, atMs });
    }
    const { book } = entry;
    if (book?.whole) epoch.whole.add(book.listing);
    if (book && epoch.whole.has(book.listing)) book.listing.books.set(seq, book.text);
    if (entry.sent.type !== "lost") return;
    for (const listing of epoch.trades.keys()) listing.gaps.push({ seq, epoch: epoch.rank });
  }

  // --- what happens at the venue ----------------------------------------------------------------------------------

  /** The book changes; nobody is told, or not as it is. */
  change(listing: Listing, random: Random): Depth {
    listing.clean = false;
    return this.#changed(listing, random);
  }

  #changed(listing: Listing, random: Random): Depth {
    const delta = randomDelta(random);
    listing.book.apply(delta);
    listing.book.truncate(listing.window);
    return delta;
  }

  delta(listing: Listing, random: Random, checked: boolean): void {
    const updates = [this.#deltaOf(listing, this.#changed(listing, random), checked)];
    this.#send({ type: "data", value: { updates } }, [], this.#bookThen(listing, false));
  }

  trades(listing: Listing, random: Random, pad: number): void {
    const { update, happened } = this.#tradesOf(listing, random, pad);
    this.#send({ type: "data", value: { updates: [update] } }, happened);
  }

  deltaAndTrades(listing: Listing, random: Random, pad: number): void {
    const delta = this.#deltaOf(listing, this.#changed(listing, random), random.chance(0.5));
    const { update, happened } = this.#tradesOf(listing, random, pad);
    this.#send({ type: "data", value: { updates: [delta, update] } }, happened, this.#bookThen(listing, false));
  }

  /** `bad`: it does not verify. */
  snapshot(listing: Listing, bad = false): void {
    const isBad = bad || listing.broken;
    if (!isBad) listing.clean = true;
    const updates = [this.#snapshotOf(listing, isBad)];
    this.#send({ type: "data", value: { updates } }, [], isBad ? null : this.#bookThen(listing, true));
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
    const bad: Trade = { id: "bad", t: 1, price: "NaN", quantity: "1", side: "buy", time: wallMs(this.options.clock) };
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
      time: wallMs(this.options.clock),
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
    for (const connection of this.#connections) connection.again(random);
  }

  clock(): void {
    this.#send({ type: "clock", time: wallMs(this.options.clock) });
  }

  /** Nobody hears anything for `ms`: what a log holds comes later, the rest is gone. */
  lost(ms: number): void {
    for (const connection of this.#connections) connection.lost(ms);
  }

  /** The log is deleted and made again; or a source without one says itself that its numbering begins anew. */
  newEpoch(): void {
    if (!this.replayable) {
      this.#send({ type: "epoch" });
      return;
    }
    this.generation++;
    this.log.length = 0;
    this.logStart = 0;
    for (const connection of this.#connections) connection.pump();
  }

  /** Only the last `keep` records of the log are still there. */
  retain(keep: number): void {
    const gone = Math.max(0, this.log.length - keep);
    this.log.splice(0, gone);
    this.logStart += gone;
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #common(listing: Listing, kind: "depth" | "trade") {
    return {
      channel: `${listing.symbol}@${kind}`,
      kind,
      user: "",
      time: wallMs(this.options.clock),
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

  /** One to three trades. */
  #tradesOf(listing: Listing, random: Random, pad: number): { update: MappedUpdate; happened: Happened[] } {
    const { clock, ownIds } = this.options;
    const data: Trade[] = [];
    const happened: Happened[] = [];
    for (let left = random.int(1, 3); left > 0; left--) {
      const number = ++this.#ids;
      const id = `${number}${"-".repeat(pad)}`;
      happened.push({ listing, id, own: ownIds ? number : null });
      const price = String(90 + random.int(0, 20));
      const side = random.chance(0.5) ? "buy" : "sell";
      data.push({ id, t: ownIds ? number : -1, price, quantity: random.pick(QUANTITIES), side, time: wallMs(clock) });
    }
    return { update: { ...this.#common(listing, "trade"), type: "items", data } as MappedUpdate, happened };
  }

  #update(...updates: MappedUpdate[]): void {
    this.#send({ type: "data", value: { updates } });
  }

  #bookThen(listing: Listing, whole: boolean): BookThen | null {
    return listing.clean ? { listing, text: listing.book.text(), whole } : null;
  }

  #send(sent: Sent, trades: readonly Happened[] = [], book: BookThen | null = null): void {
    const entry: Entry = { sent, trades, book };
    if (this.replayable) this.log.push(entry);
    for (const connection of this.#connections) connection.take(entry);
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
