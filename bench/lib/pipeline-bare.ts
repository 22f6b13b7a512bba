/**
 * The bare loops the pipeline is measured against: what one would write who wants only this feed's numbers and nothing
 * else. Nothing is validated, nothing is numbered, nobody is told.
 *
 * Kept independent of src/ on purpose: a baseline must not get faster or slower with what it judges.
 */

export interface BareUpdate {
  readonly pair: string;
  readonly snapshot: boolean;
  readonly bids: [price: string, quantity: string][];
  readonly asks: [price: string, quantity: string][];
  readonly checksum: number;
  readonly time: number;
}

type RawLevel = [price: string, quantity: string, time: string];
interface RawBook {
  as?: RawLevel[];
  bs?: RawLevel[];
  a?: RawLevel[];
  b?: RawLevel[];
  c?: string;
}

/** JSON.parse and a typed object; null for what is no book message. */
export function bareParse(text: string): BareUpdate | null {
  const message = JSON.parse(text) as unknown[];
  if (!Array.isArray(message)) return null;
  const bids: [string, string][] = [];
  const asks: [string, string][] = [];
  let snapshot = false;
  let checksum = 0;
  let time = 0;
  for (let i = 1; i < message.length - 2; i++) {
    const part = message[i] as RawBook;
    if (part.as !== undefined || part.bs !== undefined) snapshot = true;
    for (const level of part.a ?? part.as ?? []) {
      asks.push([level[0], level[1]]);
      time = Math.max(time, Math.floor(Number(level[2]) * 1000));
    }
    for (const level of part.b ?? part.bs ?? []) {
      bids.push([level[0], level[1]]);
      time = Math.max(time, Math.floor(Number(level[2]) * 1000));
    }
    if (part.c !== undefined) checksum = Number(part.c);
  }
  return { pair: message[message.length - 1] as string, snapshot, bids, asks, checksum, time };
}

/** One side as two sorted arrays, best first. */
class BareSide {
  readonly #sign: number;
  #ranks: number[] = [];
  #levels: [string, string][] = [];

  constructor(sign: number) {
    this.#sign = sign;
  }

  replace(levels: [string, string][]): void {
    this.#ranks = levels.map((level) => this.#sign * Number(level[0]));
    this.#levels = levels;
  }

  apply(level: [string, string], window: number): void {
    const rank = this.#sign * Number(level[0]);
    let low = 0;
    let high = this.#ranks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ranks[middle]! < rank) low = middle + 1;
      else high = middle;
    }
    const found = this.#ranks[low] === rank;
    if (Number(level[1]) === 0) {
      if (found) {
        this.#ranks.splice(low, 1);
        this.#levels.splice(low, 1);
      }
    } else if (found) this.#levels[low] = level;
    else {
      this.#ranks.splice(low, 0, rank);
      this.#levels.splice(low, 0, level);
      if (this.#ranks.length > window) {
        this.#ranks.pop();
        this.#levels.pop();
      }
    }
  }

  /** The digits of the best ten, as the checksum wants them. */
  digits(): string {
    let text = "";
    for (let i = 0; i < 10 && i < this.#levels.length; i++) {
      const level = this.#levels[i]!;
      text += plain(level[0]) + plain(level[1]);
    }
    return text;
  }

  all(): [string, string][] {
    return this.#levels;
  }
}

function plain(decimal: string): string {
  const digits = decimal.replace(".", "");
  let zeros = 0;
  while (digits.charCodeAt(zeros) === 48) zeros++;
  return digits.slice(zeros);
}

export class BareBook {
  readonly bids = new BareSide(-1);
  readonly asks = new BareSide(1);

  /** Takes an update in; true if its checksum is right (a snapshot has none). */
  take(update: BareUpdate): boolean {
    if (update.snapshot) {
      this.bids.replace(update.bids);
      this.asks.replace(update.asks);
      return true;
    }
    for (const level of update.bids) this.bids.apply(level, 1000);
    for (const level of update.asks) this.asks.apply(level, 1000);
    return Bun.hash.crc32(this.asks.digits() + this.bids.digits()) === update.checksum;
  }
}
