/**
 * The fair price: what a symbol is worth at an instant, a pure function of (seed, symbol, time).
 *
 * It is noise of many octaves whose amplitudes grow with the root of their period, so that over seconds to a day it moves
 * like a random walk, and over longer it returns to its anchor. Because it depends on absolute time alone, history ends
 * where the live simulation begins, spot and usdm agree, and a restart goes on at the same price.
 */
import { hashOf, noiseAt } from "./random.ts";

const DAY_MS = 86_400_000;

/** Smooth noise around 0: one octave per period (ms). Not more than `sum(amplitudes)` from 0. */
export class Noise {
  readonly #seeds: number[] = [];
  readonly #periods: readonly number[];
  readonly #amplitudes: readonly number[];
  /** Per octave: the cell of the last call and the values at its two ends. */
  readonly #cells: Float64Array;
  readonly #left: Float64Array;
  readonly #right: Float64Array;

  constructor(seed: number, octaves: readonly (readonly [periodMs: number, amplitude: number])[]) {
    this.#periods = octaves.map(([period]) => period);
    this.#amplitudes = octaves.map(([, amplitude]) => amplitude);
    for (let i = 0; i < octaves.length; i++) this.#seeds.push(hashOf(seed, i));
    this.#cells = new Float64Array(octaves.length).fill(-1);
    this.#left = new Float64Array(octaves.length);
    this.#right = new Float64Array(octaves.length);
  }

  at(timeMs: number): number {
    let sum = 0;
    for (let i = 0; i < this.#periods.length; i++) {
      const position = timeMs / this.#periods[i]!;
      const cell = Math.floor(position);
      if (this.#cells[i] !== cell) {
        this.#cells[i] = cell;
        this.#left[i] = noiseAt(this.#seeds[i]!, cell);
        this.#right[i] = noiseAt(this.#seeds[i]!, cell + 1);
      }
      const x = position - cell;
      const smooth = x * x * (3 - 2 * x);
      sum += this.#amplitudes[i]! * (this.#left[i]! + (this.#right[i]! - this.#left[i]!) * smooth);
    }
    return sum;
  }
}

export class FairPrice {
  readonly #anchor: number;
  readonly #path: Noise;
  readonly #basis: Noise;
  readonly #mood: Noise;

  constructor(seed: number, symbol: string, anchor: number, dailyVolatility: number) {
    this.#anchor = anchor;
    const walk: [number, number][] = [];
    for (let period = 500; period <= 1.6 * DAY_MS; period *= 2) {
      walk.push([period, 0.7 * dailyVolatility * Math.sqrt(period / DAY_MS)]);
    }
    this.#path = new Noise(hashOf(seed, symbol, "path"), walk);
    this.#basis = new Noise(hashOf(seed, symbol, "basis"), [
      [60_000, 0.00005],
      [3_600_000, 0.0002],
      [28_800_000, 0.0003],
    ]);
    this.#mood = new Noise(hashOf(seed, symbol, "mood"), [
      [20_000, 0.4],
      [300_000, 0.6],
    ]);
  }

  /** Price of one unit of base in quote: the index price. */
  at(timeMs: number): number {
    return this.#anchor * Math.exp(this.#path.at(timeMs));
  }

  /** How far (as a fraction) a perpetual future stands above the index. */
  premiumAt(timeMs: number): number {
    return this.#basis.at(timeMs);
  }

  /** -1..1: takers rather sell or rather buy; the trend that comes and goes. */
  moodAt(timeMs: number): number {
    return this.#mood.at(timeMs);
  }
}
