/**
 * The venues of a world and what happens at them: good records, bad ones, lost connections, new epochs, resyncs.
 */
import type { Clock } from "../../src/lib/clock.ts";
import { createRandom, type Random } from "./random.ts";
import { Listing, Venue, type VenueOptions } from "./venue.ts";

/** The longest a venue takes to answer a request for a snapshot. */
export const RESYNC_MS_MAX = 300;

export interface MarketOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly ownIds: boolean;
  /** Where an owner stands among those of its shard, by its name. */
  readonly rankOf: (owner: string) => number;
  /** Per venue: whether it keeps a log, where its readers begin, and how fast they read. */
  readonly venues: readonly Pick<VenueOptions, "replayable" | "startsAt" | "paceMs">[];
}

export class Market {
  readonly listings: readonly Listing[] = [
    new Listing("aaausdt", 0),
    new Listing("bbbusdt", 8),
    new Listing("cccusdt", 0),
  ];
  readonly venues: readonly Venue[];
  /** From now on venues do as they should. */
  wellBehaved = false;
  /** Nothing is sent any more. */
  ended = false;
  readonly #rankOf: (owner: string) => number;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor({ clock, random, ownIds, venues, rankOf }: MarketOptions) {
    this.#rankOf = rankOf;
    this.#clock = clock;
    this.#random = random;
    this.venues = [this.listings.slice(0, 2), this.listings.slice(2)].map((listings, at) => {
      let readers = 0;
      const venue: Venue = new Venue({
        ...venues[at]!,
        name: `shard${at}`,
        listings,
        clock,
        ownIds,
        rankOf: (id) => this.epochOf(id),
        resyncAsked: (listing) => this.#resyncAsked(venue, listing),
        connected: () => {
          if (readers++ > 0 && this.#random.chance(0.8)) this.#snapshotsAfter(venue, this.#random.int(1, 400));
        },
      });
      return venue;
    });
  }

  venueOf(listing: Listing): Venue {
    return this.venues.find((venue) => venue.listings.includes(listing))!;
  }

  /** Of a channel in any spelling. */
  listingOf(name: string): Listing {
    const symbol = name.replace(/^spot:/, "").replace(/@.*$/, "");
    return this.listings.find((listing) => listing.symbol === symbol)!;
  }

  /**
   * Where the epoch of this id (`shard0-r2-e1`: the first of its second owner) stands among those of its venue; 0 if it is
   * none. A newer owner's come behind whatever an older one that still talks begins.
   */
  epochOf(id: string): number {
    const at = id.lastIndexOf("-e");
    return at < 0 ? 0 : this.#rankOf(id.slice(0, at)) * 1000 + Number(id.slice(at + 2));
  }

  /** Of a channel's venue: an epoch's numbers were at or below those of one before. */
  fell(name: string): boolean {
    return this.venueOf(this.listingOf(name)).fell;
  }

  /** The base of the epoch that the seq is of. */
  baseOf(name: string, seq: number): number {
    return this.venueOf(this.listingOf(name)).baseOf(seq);
  }

  /** What the channel's book was at a seq; undefined where the records do not say. */
  bookAt(name: string, seq: number): string | undefined {
    return this.fell(name) ? undefined : this.listingOf(name).books.get(seq);
  }

  // --- records ----------------------------------------------------------------------------------------------------

  /** Every channel gets data. */
  open(): void {
    for (const listing of this.listings) {
      const venue = this.venueOf(listing);
      for (let i = 0; i < 10; i++) venue.change(listing, this.#random);
      venue.snapshot(listing);
      venue.trades(listing, this.#random, 0);
    }
  }

  good(listing: Listing, random: Random): void {
    const venue = this.venueOf(listing);
    const kind = random.int(0, 19);
    if (kind < 9) venue.delta(listing, random, random.chance(0.7));
    else if (kind < 14) venue.trades(listing, random, 0);
    else if (kind < 17) venue.deltaAndTrades(listing, random, 0);
    else if (kind < 18) venue.snapshot(listing);
    else if (kind < 19) venue.clock();
    else venue.emptyDelta(listing);
  }

  bad(listing: Listing, random: Random): void {
    const venue = this.venueOf(listing);
    const kinds: readonly (() => unknown)[] = [
      () => venue.again(random),
      () => venue.again(random),
      // Dropped on its way.
      () => venue.change(listing, random),
      () => venue.swapped(listing, random),
      () => venue.corrupted(listing, random),
      () => venue.crossed(listing, random),
      () => venue.malformedLevel(listing, random),
      () => venue.malformedTrade(listing),
      () => venue.garbage(random),
      () => venue.unknown(),
      () => venue.twoDeltas(listing, random),
    ];
    random.pick(kinds)();
    // Nobody can ask a log for a snapshot: the venue writes one now and then.
    if (venue.replayable) this.#later(this.#random.int(100, 3000), () => venue.snapshot(listing));
  }

  /** Trades whose ids are long, so that they fill the ring. */
  long(listing: Listing, random: Random): void {
    this.venueOf(listing).trades(listing, random, random.int(100, 700));
  }

  /** The venue says that its book is wrong, and sends a snapshot after `ms`. */
  stale(listing: Listing, ms: number): void {
    const venue = this.venueOf(listing);
    venue.stale(listing);
    listing.heldUntilMs = Math.max(listing.heldUntilMs, this.#clock.monotonicMs() + ms);
    this.#later(ms, () => venue.snapshot(listing));
  }

  /** All connections are lost for `ms`; the venue goes on meanwhile, then sends snapshots. */
  lost(venue: Venue, ms: number, seed: number): void {
    const random = createRandom(seed);
    venue.lost(ms);
    // What a log holds comes later.
    if (venue.replayable) return;
    for (const listing of venue.listings) for (let i = random.int(0, 4); i > 0; i--) venue.change(listing, random);
    this.#snapshotsAfter(venue, ms);
  }

  /** A new numbering; the books' snapshots come after `ms`, or not at all. */
  newEpoch(venue: Venue, ms: number, seed: number): void {
    venue.newEpoch();
    if (createRandom(seed).chance(0.8)) this.#snapshotsAfter(venue, ms);
  }

  /** The log keeps only its last records; a snapshot of each book follows. */
  retain(venue: Venue, keep: number): void {
    venue.retain(keep);
    this.#snapshotsAfter(venue, this.#random.int(1, 2000));
  }

  /** A checked delta of a book, so that the shard finds out whatever it does not know yet; and a last trade. */
  last(listing: Listing): void {
    const venue = this.venueOf(listing);
    if (listing.broken) venue.corrupted(listing, this.#random);
    else if (venue.replayable) venue.snapshot(listing);
    else venue.delta(listing, this.#random, true);
    venue.trades(listing, this.#random, 0);
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #snapshotsAfter(venue: Venue, ms: number): void {
    this.#later(ms, () => {
      for (const listing of venue.listings) venue.snapshot(listing);
    });
  }

  /** Usually the venue answers; now and then it does not, or with something that does not verify. */
  #resyncAsked(venue: Venue, listing: Listing): void {
    // It is at work on it.
    if (this.#clock.monotonicMs() < listing.heldUntilMs) return;
    if (!this.wellBehaved && this.#random.chance(0.15)) return;
    const bad = !this.wellBehaved && this.#random.chance(0.15);
    this.#later(this.#random.int(5, RESYNC_MS_MAX), () => venue.snapshot(listing, bad));
  }

  #later(ms: number, call: () => void): void {
    this.#clock.after(ms, () => {
      if (!this.ended) call();
    });
  }
}
