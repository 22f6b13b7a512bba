/**
 * A market maker: one agent that keeps a ladder of resting orders on both sides of the fair price.
 *
 * Each turn it moves orders that stand wrong, the best first and the others by turns, and re-quotes one at random when none does. Its ladder
 * reaches about 1 % from the fair price and follows it, so the book stays bounded by what its makers hold.
 */
import type { Side } from "../src/channel/types.ts";
import type { Floor } from "./floor.ts";
import type { Account, Order } from "./orders.ts";
import type { Random } from "./random.ts";

/** Orders per side of one maker. */
const LEVELS = 60;
/** Distance between the first two, and its growth per level: the last stands about 1.06 % away. */
const FIRST_GAP = 0.00002;
const GROWTH = 1.06;
/** Quote value of a typical order at the top; it grows away from it. */
const TYPICAL_VALUE = 3500;

/** Slots looked at in every turn, and how many of the others, going round. */
const WATCHED = 20;
const ROUND = 16;

interface Slot {
  readonly side: Side;
  /** Ticks from the fair price. */
  readonly offset: number;
  /** Ticks to the neighbour further out. */
  readonly gap: number;
  readonly value: number;
  /** Ticks; drawn anew for every order. */
  jitter: number;
  order: Order | null;
}

export class MarketMaker {
  readonly #floor: Floor;
  readonly #account: Account;
  readonly #random: Random;
  /** Best first, sides in turn. */
  readonly #slots: Slot[] = [];
  readonly #moving: Slot[] = [];
  #round = WATCHED - 1;

  /** `halfSpread`: its best quotes' distance from the fair price, as a fraction. */
  constructor(floor: Floor, account: Account, random: Random, halfSpread: number) {
    this.#floor = floor;
    this.#account = account;
    this.#random = random;
    const anchor = floor.spec.anchor / floor.spec.tickSize;
    let offset = Math.max(0.5, halfSpread * anchor);
    for (let i = 0; i < LEVELS; i++) {
      const gap = Math.max(1, FIRST_GAP * GROWTH ** i * anchor);
      const value = TYPICAL_VALUE * (1 + i * 0.06);
      this.#slots.push({ side: "buy", offset, gap, value, jitter: 0, order: null });
      this.#slots.push({ side: "sell", offset, gap, value, jitter: 0, order: null });
      offset += gap;
    }
  }

  /** Moves at most `movesMax` orders (infinity: looks at all). `fair` in ticks, fractional. */
  act(fair: number, time: number, movesMax: number): void {
    const moving = this.#moving;
    moving.length = 0;
    const slots = this.#slots;
    for (let i = 0; i < WATCHED && moving.length < movesMax; i++) this.#check(slots[i]!, fair);
    const rest = movesMax === Number.POSITIVE_INFINITY ? slots.length - WATCHED : ROUND;
    for (let n = 0; n < rest && moving.length < movesMax; n++) {
      this.#round = this.#round + 1 < slots.length ? this.#round + 1 : WATCHED;
      this.#check(slots[this.#round]!, fair);
    }
    if (moving.length === 0) moving.push(this.#slots[Math.floor(this.#slots.length * this.#random.next() ** 2)]!);
    // All out before the first goes in: an own order that stands wrong must not be in the way.
    for (const slot of moving) if (slot.order !== null) this.#floor.matcher.cancel(slot.order, time);
    for (const slot of moving) this.#quote(slot, fair, time);
  }

  #check(slot: Slot, fair: number): void {
    const { order } = slot;
    const wrong =
      order === null ||
      order.level === null ||
      Math.abs(order.price - priceOf(slot, fair)) > Math.max(1, slot.gap * 0.6);
    if (wrong) this.#moving.push(slot);
  }

  #quote(slot: Slot, fair: number, time: number): void {
    const { book } = this.#floor.matcher;
    slot.jitter = slot.gap > 2 ? (this.#random.next() - 0.5) * slot.gap : 0;
    let price = priceOf(slot, fair);
    const best = book.against(slot.side).best;
    if (best !== null) price = slot.side === "buy" ? Math.min(price, best.price - 1) : Math.max(price, best.price + 1);
    const lots = this.#floor.lotsFor(slot.value * Math.exp(0.8 * this.#random.normal()), price);
    slot.order = this.#floor.place(this.#account, slot.side, "limitMaker", price, lots, time);
  }
}

function priceOf(slot: Slot, fair: number): number {
  const distance = slot.offset + slot.jitter;
  return Math.max(1, slot.side === "buy" ? Math.floor(fair - distance) : Math.ceil(fair + distance));
}
