/**
 * What a client was given, push by push, against the market it should be: every trade once and in order, every book one that
 * the source had, or it was told.
 *
 * Invariant: pushes are looked at once and then forgotten, so that a check may run for hours.
 */
import type { NativeStream } from "../native-stream.ts";
import { fingerprint, SymbolMarket, VERSION_PRICE } from "./market.ts";

/** Versions that lie further back than a client's book can. */
const VERSIONS_KEPT = 20_000;
const FAULTS_KEPT = 20;

/** The fingerprints of a book's versions, for all clients: the market made again, as far as somebody asks. */
export class Twin {
  readonly #market: SymbolMarket;
  readonly #fingerprints = new Map<number, number>();

  constructor(symbol: string, seed: number) {
    this.#market = new SymbolMarket(symbol, seed);
  }

  /** Null: too long ago to be known. */
  at(version: number): number | null {
    while (this.#market.version < version) {
      const before = this.#market.version;
      this.#market.next(0);
      if (this.#market.version === before) continue;
      this.#fingerprints.set(this.#market.version, fingerprint(this.#market.depth));
      this.#fingerprints.delete(this.#market.version - VERSIONS_KEPT);
    }
    return this.#fingerprints.get(version) ?? null;
  }
}

export class Tally {
  trades = 0;
  books = 0;
  /** Trades that did not come and were told, by the market's name. */
  readonly missed: Record<string, number> = { spot: 0, usdm: 0 };
  /** Notices: gap, stale. */
  told = 0;
  faultCount = 0;
  readonly faults: string[] = [];

  fault(text: string): void {
    this.faultCount++;
    if (this.faults.length < FAULTS_KEPT) this.faults.push(text);
  }
}

/** One client's trades of one symbol. */
export class TradeCheck {
  last = 0;
  readonly #stream: NativeStream;
  readonly #name: string;
  readonly #tally: Tally;
  #gapTold = false;

  constructor(name: string, stream: NativeStream, tally: Tally) {
    this.#name = name;
    this.#stream = stream;
    this.#tally = tally;
  }

  /** Takes what has come since the last look. */
  look(): void {
    const { pushes } = this.#stream;
    // The stream itself looks at the last ones.
    const taken = pushes.slice(this.#seen);
    for (const push of taken) {
      if (push.type === "items") for (const { id } of push.data as { id: string }[]) this.#trade(Number(id));
      else if (push.type === "gap") this.#gapTold = true;
      if (push.type === "gap" || push.type === "stale") this.#tally.told++;
    }
    this.#seen = forget(this.#stream);
  }

  #seen = 0;

  #trade(id: number): void {
    this.#tally.trades++;
    if (id <= this.last) this.#tally.fault(`${this.#name}: trade ${id} behind ${this.last}`);
    else if (id > this.last + 1) {
      const market = this.#stream.asked.startsWith("usdm:") ? "usdm" : "spot";
      if (this.#gapTold) this.#tally.missed[market]! += id - this.last - 1;
      else this.#tally.fault(`${this.#name}: trade ${id} behind ${this.last}, and nothing was told`);
    }
    this.#gapTold = false;
    this.last = Math.max(this.last, id);
  }
}

/** One client's book of one symbol. */
export class BookCheck {
  readonly #stream: NativeStream;
  readonly #name: string;
  readonly #twin: Twin;
  readonly #tally: Tally;
  #seq = -1;
  #seen = 0;

  constructor(name: string, stream: NativeStream, twin: Twin, tally: Tally) {
    this.#name = name;
    this.#stream = stream;
    this.#twin = twin;
    this.#tally = tally;
  }

  /** Of the book at the last look; 0 before the first. */
  version = 0;

  get isStale(): boolean {
    return this.#stream.stale;
  }

  /** Compares the book, if it has changed since the last look. */
  look(): void {
    const { pushes, have, stale, book } = this.#stream;
    this.#tally.told += pushes.slice(this.#seen).filter(({ type }) => type === "stale" || type === "gap").length;
    this.#seen = forget(this.#stream);
    if (stale || have === null || have === this.#seq) return;
    this.#seq = have;
    const depth = book.depth();
    // The lowest bid, so the last.
    const [price, quantity] = depth.bids.at(-1) ?? [];
    const version = price === VERSION_PRICE ? Number(quantity) : 0;
    this.version = version;
    const wanted = this.#twin.at(version);
    if (wanted === null) {
      this.#tally.fault(`${this.#name}: a book without a version, or an old one: ${version}`);
      return;
    }
    this.#tally.books++;
    if (fingerprint(depth) !== wanted)
      this.#tally.fault(`${this.#name}: version ${version} at seq ${have} is not the source's book`);
  }
}

/** Streams remember every push; here only the last ones are needed. Returns how many are left. */
function forget({ pushes, items, notices }: NativeStream): number {
  if (pushes.length > 4) pushes.splice(0, pushes.length - 4);
  items.length = 0;
  if (notices.length > 100) notices.splice(0, notices.length - 100);
  return pushes.length;
}
