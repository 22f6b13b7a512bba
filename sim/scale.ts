/**
 * Whole numbers of a unit inside (ticks, lots, quote units), decimal strings outside.
 *
 * Invariant: `parse(format(n)) === n` for every safe integer n >= 0; a scale writes every number with the same decimals.
 */
import { assert } from "../src/lib/errors.ts";

/** Entries of the cache of written numbers: prices and quantities near the top come again and again. */
const CACHE = 4096;

export class Scale {
  /** One unit is 10^-decimals. */
  readonly decimals: number;
  readonly #padding: string;
  readonly #keys = new Float64Array(CACHE).fill(-1);
  readonly #texts: string[] = new Array<string>(CACHE).fill("");

  /** `unit`: a power of ten such as "0.01"; `shown`: decimals to write (default: as many as `unit` is written with). */
  constructor(unit: string, shown?: number) {
    const match = /^(?:1|0\.(0*1)(0*))$/.exec(unit);
    assert(match, `a unit is a power of ten: ${unit}`);
    this.decimals = match[1]?.length ?? 0;
    const width = shown ?? this.decimals + (match[2]?.length ?? 0);
    assert(width >= this.decimals, "a scale shows all its decimals");
    this.#padding = "0".repeat(width - this.decimals);
  }

  format(units: number): string {
    const slot = units % CACHE;
    if (this.#keys[slot] === units) return this.#texts[slot]!;
    const text = this.write(units);
    this.#keys[slot] = units;
    this.#texts[slot] = text;
    return text;
  }

  /** For numbers that seldom come again (balances) or may be negative. */
  write(units: number): string {
    if (units < 0) return `-${this.write(-units)}`;
    if (this.decimals === 0) return this.#padding === "" ? String(units) : `${units}.${this.#padding}`;
    const digits = String(units).padStart(this.decimals + 1, "0");
    const point = digits.length - this.decimals;
    return `${digits.slice(0, point)}.${digits.slice(point)}${this.#padding}`;
  }

  /** Null if it is not a plain decimal, finer than the unit, or too large to be exact. */
  parse(text: string): number | null {
    const match = /^(\d+)(?:\.(\d+))?$/.exec(text);
    if (!match) return null;
    const fraction = match[2] ?? "";
    if (/[^0]/.test(fraction.slice(this.decimals))) return null;
    const units = Number(match[1]! + fraction.slice(0, this.decimals).padEnd(this.decimals, "0"));
    return Number.isSafeInteger(units) ? units : null;
  }
}
