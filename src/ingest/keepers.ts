/**
 * What the owner keeps of chains that are no books: items, values and candles (books: book-keeper.ts).
 *
 * Invariants: a value's or candle's publication need not be built to keep its state; a closed candle is kept with the seq
 * at which it closed, so that `since` finds it. At the limit: HISTORY below; candles: CLOSED_CANDLES_MAX, oldest out.
 */
import type { AggTrade, Body, Candle, Item, Publication, Trade, Value } from "../channel/types.ts";
import type { Chain, Keeper } from "./chain.ts";
import type { ClosedCandle, SavedCandles, SavedItems, SavedValue } from "./checkpoint.ts";
import { numberAggTrades, type TradeIds } from "./derive/trade-ids.ts";
import { History, type HistoryLimits } from "./history.ts";
import type { MappedUpdate } from "./mapper/mapper.ts";

export const ITEMS_HISTORY = { countMax: 1000, ageMaxMs: 60_000 } as const;
export const CLOSED_CANDLES_MAX = 500;

const SOURCE_GAP: Body = { type: "gap", data: { missed: null, reason: "source" } };

/**
 * Items are lossless: history, and the counter of trades and aggTrades without a number of their own. Where the source
 * numbers them, none is published twice and a jump is told as a gap; the items behind it follow with the next record.
 * Where it does not, whatever may have been one of them and could not be read is told as a gap.
 */
export class ItemsKeeper implements Keeper {
  readonly remembers = true;
  readonly stale = false;
  readonly #ids: TradeIds;
  readonly #history: History;
  readonly #refuse: (reason: string) => void;
  #counter: number;
  #last: number | null = null;
  #told = false;
  /** Each number continues the one before it, so that a missing item shows with the next one. */
  #dense = false;
  #held: readonly Item[] = [];

  /** `base`: where counting starts; `refuse` hears why an update was not taken; `limits`: what differs from ITEMS_HISTORY. */
  constructor(ids: TradeIds, base: number, refuse: (reason: string) => void, limits: Partial<HistoryLimits> = {}) {
    this.#history = new History({ ...ITEMS_HISTORY, ...limits });
    this.#ids = ids;
    this.#counter = base;
    this.#refuse = refuse;
  }

  take(update: MappedUpdate): Body | null {
    if (update.type === "gap") return { type: "gap", data: update.data };
    if (update.type !== "items" || update.data.length === 0) return null;
    const have = this.#last;
    this.#dense = (update.sequence?.prev ?? null) !== null;
    if (update.sequence !== undefined) {
      const { prev, last } = update.sequence;
      if (have !== null && last <= have) {
        this.#refuse("repeated");
        return null;
      }
      const isJump = have !== null && prev !== null && prev > have && !this.#told;
      this.#last = last;
      this.#told = false;
      if (isJump) return this.#jump(update, prev - have);
    }
    const items = this.#number(update.kind, unseen(update, have));
    if (items === null) {
      this.#refuse("trade id");
      return null;
    }
    return { type: "items", data: this.#released(items) };
  }

  get owes(): boolean {
    return this.#held.length > 0;
  }

  pay(): Body | null {
    return this.owes ? { type: "items", data: this.#released([]) } : null;
  }

  #released(items: readonly Item[]): readonly Item[] {
    if (this.#held.length === 0) return items;
    const all = [...this.#held, ...items];
    this.#held = [];
    return all;
  }

  /** Tells the gap now, the items behind it with the next record. What waits already lies before this gap: it is lost. */
  #jump(update: MappedUpdate & { readonly type: "items" }, missing: number): Body {
    const missed = missing + this.#held.length;
    this.#held = this.#number(update.kind, update.data) ?? [];
    return { type: "gap", data: { missed, reason: "source" } };
  }

  /** Hands out the numbers of `count` derived items. */
  count(count: number): number {
    const first = this.#counter;
    this.#counter += count;
    return first;
  }

  lost(): Body {
    this.#told = true;
    this.#held = [];
    return SOURCE_GAP;
  }

  /** Nothing later would show that an item is missing, unless they are numbered without holes. */
  doubted(): Body | null {
    return this.#dense ? null : SOURCE_GAP;
  }

  remember(publication: Publication): void {
    this.#history.push(publication);
  }

  state(): Body | null {
    return null;
  }

  after(since: number): readonly Publication[] | null {
    return this.#history.after(since);
  }

  history(): readonly Publication[] {
    return this.#history.all();
  }

  save(): SavedItems {
    return {
      form: "items",
      counter: this.#counter,
      last: this.#last,
      told: this.#told,
      held: this.#held,
      history: this.#history.all(),
    };
  }

  restore(saved: SavedItems): void {
    this.#counter = saved.counter;
    this.#last = saved.last;
    this.#told = saved.told;
    this.#held = saved.held;
    this.#history.restore(saved.history);
  }

  #number(kind: MappedUpdate["kind"], items: readonly Item[]): readonly Item[] | null {
    let numbered: readonly Item[] | null = items;
    if (kind === "trade") numbered = this.#ids.number(items as readonly Trade[], this.#counter);
    if (kind === "aggTrade") numbered = numberAggTrades(items as readonly AggTrade[], this.#counter);
    if (numbered !== null && numbered !== items) this.#counter += numbered.length;
    return numbered;
  }
}

/** The items that are newer than `have`: a message may repeat some and add others. */
function unseen(update: MappedUpdate & { readonly type: "items" }, have: number | null): readonly Item[] {
  const prev = update.sequence?.prev ?? null;
  if (have === null || prev === null || prev >= have || update.kind !== "trade") return update.data;
  return (update.data as readonly Trade[]).filter((trade) => trade.t > have);
}

/** The latest value: the source's, or a derived one asked for when it is needed. */
export class ValueKeeper implements Keeper {
  readonly remembers = false;
  readonly stale = false;
  readonly #derived: (() => Value) | null;
  #latest: Value | null = null;

  constructor(derived: (() => Value) | null = null) {
    this.#derived = derived;
  }

  take(update: MappedUpdate): Body | null {
    if (update.type !== "value") return null;
    this.#latest = update.data;
    return { type: "value", data: update.data };
  }

  lost(): Body | null {
    return null;
  }

  remember(): void {
    // The state is the latest value: there is no history.
  }

  state(): Body | null {
    const data = this.#derived === null ? this.#latest : this.#derived();
    return data === null ? null : { type: "value", data };
  }

  after(since: number, chain: Chain): readonly Publication[] | null {
    const state = this.state();
    if (state === null || chain.lastSeq === null) return null;
    return [chain.publication(state, chain.lastSeq, since)];
  }

  history(): readonly Publication[] {
    return [];
  }

  /** A derived value is saved by its derivation. */
  save(): SavedValue {
    return { form: "value", value: this.#latest };
  }

  restore(saved: SavedValue): void {
    this.#latest = saved.value;
  }
}

/** The current candle and the last closed ones, the source's or derived. */
export class CandlesKeeper implements Keeper {
  readonly remembers = false;
  readonly stale = false;
  readonly #derived: (() => Candle | null) | null;
  #latest: Candle | null = null;
  #closed: ClosedCandle[] = [];
  /** Seq of the newest closed candle no longer kept; null if all of the epoch are. */
  #forgotten: number | null = null;

  constructor(derived: (() => Candle | null) | null = null) {
    this.#derived = derived;
  }

  take(update: MappedUpdate, seq: number): Body | null {
    if (update.type !== "candles" || update.data.length === 0) return null;
    const { data } = update;
    this.close(
      seq,
      data.filter((candle) => candle.closed),
    );
    this.#latest = data[data.length - 1] as Candle;
    return { type: "candles", data };
  }

  close(seq: number, candles: readonly Candle[]): void {
    for (const candle of candles) this.#closed.push({ seq, candle });
    const excess = this.#closed.length - CLOSED_CANDLES_MAX;
    // In bulk, so that closing stays cheap.
    if (excess < 64) return;
    this.#forgotten = (this.#closed[excess - 1] as ClosedCandle).seq;
    this.#closed.splice(0, excess);
  }

  lost(): Body | null {
    return null;
  }

  remember(): void {
    // Closed candles are kept as such.
  }

  /** Closed candles, oldest first. */
  get closed(): readonly Candle[] {
    return this.#closed.map((entry) => entry.candle);
  }

  state(): Body | null {
    const current = this.#current();
    return current === null ? null : { type: "candles", data: [current] };
  }

  after(since: number, chain: Chain): readonly Publication[] | null {
    if (this.#forgotten !== null && since < this.#forgotten) return null;
    return this.#chainBehind(since, chain);
  }

  history(chain: Chain): readonly Publication[] {
    return this.#chainBehind(this.#forgotten, chain);
  }

  /** A derived current candle is saved by its derivation. */
  save(): SavedCandles {
    return { form: "candles", current: this.#latest, closed: this.#closed.slice(), forgotten: this.#forgotten };
  }

  restore(saved: SavedCandles): void {
    this.#latest = saved.current;
    this.#closed = saved.closed.slice();
    this.#forgotten = saved.forgotten;
  }

  #current(): Candle | null {
    return this.#derived === null ? this.#latest : this.#derived();
  }

  /** One publication per seq at which candles closed, and last the current candle: a merged chain of the real one. */
  #chainBehind(since: number | null, chain: Chain): Publication[] {
    const { lastSeq } = chain;
    const current = this.#current();
    if (lastSeq === null || current === null) return [];
    const merged: Publication[] = [];
    const emit = (candles: Candle[], seq: number): void => {
      merged.push(chain.publication({ type: "candles", data: candles }, seq, merged.at(-1)?.seq ?? since));
    };
    let candles: Candle[] = [];
    this.#closed.forEach(({ seq, candle }, index) => {
      if (since !== null && seq <= since) return;
      candles.push(candle);
      const isLastOfSeq = this.#closed[index + 1]?.seq !== seq;
      if (!isLastOfSeq || seq === lastSeq) return;
      emit(candles, seq);
      candles = [];
    });
    // A source's own last candle may be closed itself.
    if (candles.at(-1)?.openTime !== current.openTime) candles.push(current);
    if (since === null || lastSeq > since) emit(candles, lastSeq);
    return merged;
  }
}
