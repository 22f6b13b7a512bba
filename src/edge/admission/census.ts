/**
 * The census: how many sessions a node has, in all and by key (an address, a user), and how fast a key connects; one
 * table in shared memory for all workers.
 *
 * Beside the path: asked when a session comes and goes, never for a frame.
 * Invariants: every worker writes counts in a column of its own, so that those of a dead one can be removed; a count is
 * the sum of its columns; nobody ever waits for anybody: a worker may die between any two lines. A place belongs to a key
 * for as long as it has a count or an unfilled bucket; then any other key may have it.
 * At the limit: a key that finds no place among its PROBES is not counted (`add` says FULL); whoever asks decides.
 */

/** Places looked at for a key, spread over the table: that all are taken is unlikely until the table is full. */
const PROBES = 32;
const PLACES_MIN = 1024;
const PLACES_MAX = 1 << 18;
/** Tries to get a place that others give away at the same moment. */
const TRIES = 8;
export const FULL = -1;

/** Time of buckets, in 32 bit: 1/32 ms, so it wraps after 37 hours. */
const UNITS_PER_MS = 32;
/** Seconds that an empty bucket takes to fill, at most: what looks longer is left from before a wrap. */
export const FILL_SECONDS_MAX = 3600;
const FILL_UNITS_MAX = FILL_SECONDS_MAX * 1000 * UNITS_PER_MS;

const HEAD = { columns: 0, places: 1, size: 2 } as const;

/** Memory for `columns` writers and about so many keys at a time. */
export function createCensus(columns: number, keys: number): SharedArrayBuffer {
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, 2 * keys)));
  const places = Math.min(PLACES_MAX, Math.max(PLACES_MIN, wanted));
  const words = HEAD.size + columns + 2 * places + columns * places;
  const memory = new SharedArrayBuffer(4 * words);
  const head = new Int32Array(memory);
  head[HEAD.columns] = columns;
  head[HEAD.places] = places;
  return memory;
}

export class Census {
  readonly #columns: number;
  readonly #places: number;
  readonly #column: number;
  /** Sessions, by column. */
  readonly #sessions: Int32Array;
  /** Key of each place: 0 nobody's yet, negative while column -n-1 takes it. */
  readonly #keys: Int32Array;
  /** When the place's bucket is full again, in units. */
  readonly #filled: Int32Array;
  /** Counts: columns one behind the other, each with all places. */
  readonly #counts: Int32Array;

  /** Writes in `column`; somebody who only reads and clears names any. */
  constructor(memory: SharedArrayBuffer, column: number) {
    const head = new Int32Array(memory, 0, HEAD.size);
    const columns = head[HEAD.columns]!;
    const places = head[HEAD.places]!;
    this.#columns = columns;
    this.#places = places;
    this.#column = column;
    let at = 4 * HEAD.size;
    const part = (words: number): Int32Array => {
      const array = new Int32Array(memory, at, words);
      at += 4 * words;
      return array;
    };
    this.#sessions = part(columns);
    this.#keys = part(places);
    this.#filled = part(places);
    this.#counts = part(columns * places);
  }

  // --- sessions -----------------------------------------------------------------------------------------------------

  /** Sessions of all workers. */
  get sessions(): number {
    let sum = 0;
    for (let column = 0; column < this.#columns; column++) sum += Atomics.load(this.#sessions, column);
    return sum;
  }

  /** One more session here, unless the node then has more than `max`. */
  enter(max: number): boolean {
    Atomics.add(this.#sessions, this.#column, 1);
    // Counted first, so that two workers at once can be refused both but never let in both.
    if (this.sessions <= max) return true;
    this.leave();
    return false;
  }

  leave(): void {
    Atomics.sub(this.#sessions, this.#column, 1);
  }

  /** Whoever wrote in this column is gone. */
  clear(column: number): void {
    Atomics.store(this.#sessions, column, 0);
    for (let place = 0; place < this.#places; place++) {
      Atomics.store(this.#counts, column * this.#places + place, 0);
      Atomics.compareExchange(this.#keys, place, takenBy(column), 0);
    }
  }

  // --- keys ---------------------------------------------------------------------------------------------------------

  /** Counts one more for the key; returns the place to give to `remove`, or FULL. */
  add(key: string, nowMs: number): number {
    const now = unitsOf(nowMs);
    const probe = new Probe(key, this.#places);
    for (let tries = 0; tries < TRIES; tries++) {
      const place = this.#find(probe);
      if (place === FULL) {
        const taken = this.#take(probe, now, 1);
        if (taken !== FULL) return taken;
        continue;
      }
      Atomics.add(this.#counts, this.#own(place), 1);
      if (Atomics.load(this.#keys, place) === probe.id) return place;
      // Given to another key between the two lines.
      this.remove(place);
    }
    return FULL;
  }

  remove(place: number): void {
    Atomics.sub(this.#counts, this.#own(place), 1);
  }

  /** Count of a key, over all workers. */
  count(key: string): number {
    const probe = new Probe(key, this.#places);
    let sum = 0;
    // Two workers may have taken a place for the same key at once.
    for (let n = 0; n < PROBES; n++) {
      const place = probe.place(n);
      if (Atomics.load(this.#keys, place) === probe.id) sum += this.#countAt(place);
    }
    return sum;
  }

  /**
   * Takes one token of the key's bucket, which holds `burst` and gains `perSecond`. Returns 0, or the ms until there is
   * one. FULL: the key finds no place, and so no bucket.
   */
  spend(key: string, perSecond: number, burst: number, nowMs: number): number {
    const now = unitsOf(nowMs);
    const probe = new Probe(key, this.#places);
    const each = Math.max(1, Math.round((1000 * UNITS_PER_MS) / perSecond));
    let place = this.#find(probe);
    if (place === FULL) place = this.#take(probe, now, 0);
    if (place === FULL) return FULL;
    for (;;) {
      const filled = Atomics.load(this.#filled, place);
      // More than an empty bucket lacks: the wall clock was set back.
      const lacking = missingAt(filled, now);
      const missing = lacking > burst * each ? 0 : lacking;
      const over = missing + each - burst * each;
      if (over > 0) return over / UNITS_PER_MS;
      const next = (now + missing + each) | 0;
      if (Atomics.compareExchange(this.#filled, place, filled, next) === filled) return 0;
    }
  }

  // --- inside -------------------------------------------------------------------------------------------------------

  #own(place: number): number {
    return this.#column * this.#places + place;
  }

  #countAt(place: number): number {
    let sum = 0;
    for (let column = 0; column < this.#columns; column++) {
      sum += Atomics.load(this.#counts, column * this.#places + place);
    }
    return sum;
  }

  #find(probe: Probe): number {
    for (let n = 0; n < PROBES; n++) {
      const place = probe.place(n);
      if (Atomics.load(this.#keys, place) === probe.id) return place;
    }
    return FULL;
  }

  /** Takes a place that nobody needs, with a first count; FULL if there is none now. */
  #take(probe: Probe, now: number, count: number): number {
    for (let n = 0; n < PROBES; n++) {
      const place = probe.place(n);
      const old = Atomics.load(this.#keys, place);
      if (old < 0 || (old > 0 && !this.#free(place, now))) continue;
      if (Atomics.compareExchange(this.#keys, place, old, takenBy(this.#column)) !== old) continue;
      // Somebody may have counted for the old key meanwhile: then it stays that key's.
      if (old > 0 && !this.#free(place, now)) {
        Atomics.store(this.#keys, place, old);
        continue;
      }
      Atomics.store(this.#filled, place, now);
      Atomics.add(this.#counts, this.#own(place), count);
      Atomics.store(this.#keys, place, probe.id);
      return place;
    }
    return FULL;
  }

  #free(place: number, now: number): boolean {
    return missingAt(Atomics.load(this.#filled, place), now) === 0 && this.#countAt(place) === 0;
  }
}

const takenBy = (column: number): number => -column - 1;

const unitsOf = (ms: number): number => Math.floor((ms % 2 ** 31) * UNITS_PER_MS) | 0;

/** Units that a bucket lacks; none if its time is past, or so far ahead that it is left from before a wrap. */
function missingAt(filled: number, now: number): number {
  const missing = (filled - now) | 0;
  return missing > 0 && missing <= FILL_UNITS_MAX ? missing : 0;
}

/** Where a key may be: its number, and the places in the order they are looked at. */
class Probe {
  readonly id: number;
  readonly #start: number;
  readonly #step: number;
  readonly #mask: number;

  constructor(key: string, places: number) {
    const hash = Bun.hash.wyhash(key);
    const low = Number(hash & 0xffff_ffffn);
    const high = Number(hash >> 32n);
    this.id = low & 0x7fff_ffff || 1;
    this.#start = high;
    // Odd, so that it meets every place of a table whose size is a power of two.
    this.#step = (high >>> 13) | 1;
    this.#mask = places - 1;
  }

  place(n: number): number {
    return (this.#start + n * this.#step) & this.#mask;
  }
}
