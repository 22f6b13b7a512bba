/**
 * A histogram of microseconds in fixed memory: 64 buckets per doubling, so a percentile is at most 1.6 % too high.
 *
 * Invariants: `add` allocates nothing; histograms of several processes can be added up exactly.
 * At the limit: what is over 35 minutes counts as 35 minutes, what is below zero (clocks apart) as zero; `max` is exact.
 */

const SUB_BITS = 6;
const SUB = 1 << SUB_BITS;
const MOST_US = 2 ** 31 - 1;
const BUCKETS = SUB * (31 - SUB_BITS + 1);

/** What one process hands to another: pairs of bucket and count. */
export interface HistogramWire {
  readonly count: number;
  readonly maxUs: number;
  readonly sumUs: number;
  readonly buckets: readonly (readonly [bucket: number, count: number])[];
}

/** In ms; null where nothing was counted. */
export interface Percentiles {
  readonly count: number;
  readonly mean: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly p999: number | null;
  readonly max: number | null;
}

export class Histogram {
  count = 0;
  readonly #counts = new Float64Array(BUCKETS);
  #maxUs = 0;
  #sumUs = 0;

  add(us: number): void {
    const whole = us <= 0 ? 0 : us >= MOST_US ? MOST_US : Math.floor(us);
    this.#counts[bucketOf(whole)]! += 1;
    this.count += 1;
    this.#sumUs += whole;
    if (us > this.#maxUs) this.#maxUs = us;
  }

  clear(): void {
    this.#counts.fill(0);
    this.count = 0;
    this.#maxUs = 0;
    this.#sumUs = 0;
  }

  /** The value that `share` (0 to 1) of all are not above, µs; null if nothing was counted. */
  percentile(share: number): number | null {
    if (this.count === 0) return null;
    let left = Math.max(1, Math.ceil(this.count * share));
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket]!;
      if (left <= 0) return Math.min(topOf(bucket), this.#maxUs);
    }
    return this.#maxUs;
  }

  percentiles(): Percentiles {
    const ms = (us: number | null): number | null => (us === null ? null : us / 1000);
    return {
      count: this.count,
      mean: this.count === 0 ? null : this.#sumUs / this.count / 1000,
      p50: ms(this.percentile(0.5)),
      p95: ms(this.percentile(0.95)),
      p99: ms(this.percentile(0.99)),
      p999: ms(this.percentile(0.999)),
      max: this.count === 0 ? null : this.#maxUs / 1000,
    };
  }

  wire(): HistogramWire {
    const buckets: (readonly [number, number])[] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.#counts[bucket]!;
      if (count > 0) buckets.push([bucket, count]);
    }
    return { count: this.count, maxUs: this.#maxUs, sumUs: this.#sumUs, buckets };
  }

  merge(other: HistogramWire): void {
    for (const [bucket, count] of other.buckets) this.#counts[bucket]! += count;
    this.count += other.count;
    this.#sumUs += other.sumUs;
    this.#maxUs = Math.max(this.#maxUs, other.maxUs);
  }
}

function bucketOf(us: number): number {
  if (us < SUB) return us;
  const shift = 31 - SUB_BITS - Math.clz32(us);
  return SUB * (shift + 1) + (us >>> shift) - SUB;
}

/** The largest value in a bucket. */
function topOf(bucket: number): number {
  if (bucket < SUB) return bucket;
  const shift = Math.floor(bucket / SUB) - 1;
  return ((bucket % SUB) + SUB + 1) * 2 ** shift - 1;
}
