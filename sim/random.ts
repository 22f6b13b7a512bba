/**
 * Seeded randomness of the simulated exchange: a small generator (sfc32) and a stateless hash.
 *
 * Invariant: equal seeds give equal sequences, on the same build of the runtime (`normal` and `exponential` use Math.log).
 */

/** A 32-bit hash of words and numbers, for seeds: FNV-1a with a final avalanche. */
export function hashOf(...parts: readonly (string | number)[]): number {
  let h = 0x811c9dc5;
  for (const part of parts) {
    const text = `${part}|`;
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  return avalanche(h);
}

/** A uniform number in [-1, 1) that belongs to (seed, index); index is an integer below 2^53. */
export function noiseAt(seed: number, index: number): number {
  const low = index >>> 0;
  const high = Math.floor(index / 4294967296);
  const h = avalanche(Math.imul(low, 0x9e3779b1) ^ avalanche(seed ^ Math.imul(high + 1, 0x85ebca6b)));
  return h / 2147483648 - 1;
}

function avalanche(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return (h ^ (h >>> 15)) >>> 0;
}

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = avalanche(seed);
    this.#b = avalanche(seed ^ 0x5bd1e995);
    this.#c = avalanche(seed ^ 0x27d4eb2f);
    for (let i = 0; i < 12; i++) this.next();
  }

  /** [0, 1) */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4294967296;
  }

  /** An integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** Mean 0, deviation 1. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  /** Mean 1. */
  exponential(): number {
    return -Math.log(1 - this.next());
  }
}
