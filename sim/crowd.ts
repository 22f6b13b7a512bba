/**
 * The crowd of one symbol: market makers, passive traders, takers, sweeps, and arbitrage against stale quotes.
 *
 * One `act` is one simulated event. What it does is random; where it does it follows the fair price.
 */
import type { Side } from "../src/channel/types.ts";
import type { Floor } from "./floor.ts";
import { MarketMaker } from "./market-maker.ts";
import type { Account, Order } from "./orders.ts";
import type { Random } from "./random.ts";

/** Each maker's best quotes, as fractions from the fair price. */
const HALF_SPREADS = [0.000004, 0.00003, 0.00008];
/** One account each: the makers, the passive traders, the takers. */
export const DESK_SIZE = HALF_SPREADS.length + 2;
/** Orders a maker may move in one event: what bounds a delta's size. */
const MOVES_MAX = 12;
/** Passive orders of the crowd; when there are more the oldest goes. */
const PASSIVE_MAX = 40;
/** Passive orders further than this from the fair price go. */
const PASSIVE_FAR = 0.012;
/** Quote value of a typical market order. */
const TAKE_VALUE = 1500;
/** Quotes wrong by this fraction are taken by whoever sees it first. */
const STALE = 0.00015;
/** Fewer levels on a side, or a wider spread (a fraction), is a thin book. */
const THIN_LEVELS = 20;
const THIN_SPREAD = 0.002;
/** Net lots, in quote value, at which takers surely turn round. */
const NET_VALUE_MAX = 400_000;

export class Crowd {
  readonly #floor: Floor;
  readonly #random: Random;
  readonly #makers: readonly MarketMaker[];
  readonly #passiveAccount: Account;
  readonly #takerAccount: Account;
  #passive: Order[] = [];
  /** Lots the takers bought more than they sold. */
  #net = 0;

  constructor(floor: Floor, random: Random) {
    this.#floor = floor;
    this.#random = random;
    const accounts = floor.desk;
    this.#makers = HALF_SPREADS.map((half, i) => new MarketMaker(floor, accounts[i]!, random, half));
    this.#passiveAccount = accounts[HALF_SPREADS.length]!;
    this.#takerAccount = accounts[HALF_SPREADS.length + 1]!;
  }

  /** Fills the book. */
  prime(time: number): void {
    const fair = this.#floor.fairTicks(time);
    for (const maker of this.#makers) maker.act(fair, time, Number.POSITIVE_INFINITY);
    for (let i = 0; i < PASSIVE_MAX / 2; i++) this.#rest(fair, time);
  }

  act(time: number): void {
    const fair = this.#floor.fairTicks(time);
    if (this.#thin(fair)) {
      this.#aMaker().act(fair, time, MOVES_MAX);
      return;
    }
    const roll = this.#random.next();
    if (roll < 0.5 && this.#pickOff(fair, time)) return;
    if (roll < 0.19) this.#take(fair, time);
    else if (roll < 0.2) this.#sweep(fair, time);
    else if (roll < 0.45) this.#passiveTurn(fair, time);
    else this.#aMaker().act(fair, time, MOVES_MAX);
  }

  #aMaker(): MarketMaker {
    return this.#makers[this.#random.below(this.#makers.length)]!;
  }

  /** So little is left that nobody trades before a maker has quoted. */
  #thin(fair: number): boolean {
    const { bids, asks } = this.#floor.matcher.book;
    if (bids.size < THIN_LEVELS || asks.size < THIN_LEVELS) return true;
    return asks.best!.price - bids.best!.price > Math.max(3, fair * THIN_SPREAD);
  }

  /** Takes quotes on the wrong side of the fair price; false if there are none. */
  #pickOff(fair: number, time: number): boolean {
    const { book } = this.#floor.matcher;
    const margin = Math.max(2, fair * STALE);
    const ask = book.asks.best;
    const bid = book.bids.best;
    const side: Side | null =
      ask && ask.price < fair - margin ? "buy" : bid && bid.price > fair + margin ? "sell" : null;
    if (side === null) return false;
    const price = side === "buy" ? Math.floor(fair) : Math.ceil(fair);
    this.#trade(side, "ioc", price, this.#floor.lotsFor(TAKE_VALUE * 8 * (0.5 + this.#random.next()), fair), time);
    return true;
  }

  #take(fair: number, time: number): void {
    const lots = this.#floor.lotsFor(TAKE_VALUE * Math.exp(1.1 * this.#random.normal()), fair);
    this.#trade(this.#takerSide(fair, time), "market", 0, lots, time);
  }

  /** A large order through many levels, not further than 0.15 %. */
  #sweep(fair: number, time: number): void {
    const side = this.#takerSide(fair, time);
    const price = Math.max(1, Math.round(fair * (side === "buy" ? 1.0015 : 0.9985)));
    const lots = this.#floor.lotsFor(TAKE_VALUE * (10 + 40 * this.#random.next()), fair);
    this.#trade(side, "ioc", price, lots, time);
  }

  #trade(side: Side, type: "ioc" | "market", price: number, lots: number, time: number): void {
    const nettings = this.#floor.nettings;
    const order = this.#floor.place(this.#takerAccount, side, type, price, lots, time);
    if (this.#floor.nettings !== nettings) this.#net = 0;
    this.#net += side === "buy" ? order.filledLots : -order.filledLots;
  }

  /** Follows the mood, and goes against what takers have piled up. */
  #takerSide(fair: number, time: number): Side {
    const { spec } = this.#floor;
    const piled = (this.#net * spec.lotSize * fair * spec.tickSize) / NET_VALUE_MAX;
    const bias = 0.25 * this.#floor.fair.moodAt(time) - 0.5 * Math.max(-1, Math.min(1, piled));
    return this.#random.chance(0.5 + bias) ? "buy" : "sell";
  }

  #passiveTurn(fair: number, time: number): void {
    this.#passive = this.#passive.filter((order) => order.level !== null);
    const oldest = this.#passive[0];
    const far = oldest !== undefined && Math.abs(oldest.price - fair) > fair * PASSIVE_FAR;
    if (oldest !== undefined && (far || this.#passive.length >= PASSIVE_MAX || this.#random.chance(0.4))) {
      const order = far || this.#random.chance(0.5) ? oldest : this.#passive[this.#random.below(this.#passive.length)]!;
      this.#floor.matcher.cancel(order, time);
    } else {
      this.#rest(fair, time);
    }
  }

  /** A passive order, mostly near the top, sometimes inside the spread. */
  #rest(fair: number, time: number): void {
    const { book } = this.#floor.matcher;
    const side: Side = this.#random.chance(0.5) ? "buy" : "sell";
    const distance = fair * 0.0004 * this.#random.exponential() ** 2;
    const best = book.against(side).best;
    let price = side === "buy" ? Math.floor(fair - distance) : Math.ceil(fair + distance);
    if (best !== null) price = side === "buy" ? Math.min(price, best.price - 1) : Math.max(price, best.price + 1);
    const lots = this.#floor.lotsFor(1000 * Math.exp(1.2 * this.#random.normal()), fair);
    const order = this.#floor.place(this.#passiveAccount, side, "limitMaker", Math.max(1, price), lots, time);
    if (order.level !== null) this.#passive.push(order);
  }
}
