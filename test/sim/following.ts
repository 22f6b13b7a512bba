/**
 * What a native client keeps of one subscription, by the rules of docs/protocol.md ("keeping state"), and how it is judged.
 *
 * A following outlives its session: a client that comes back with `since` goes on with the same one. Whatever breaks a rule
 * at once is a violation; what differs from the venue at the end, without the client having been told, is one too.
 */
import type { Candle, Depth, Position } from "../../src/channel/types.ts";
import { ModelBook } from "./model-book.ts";
import type { Listing } from "./venue.ts";

export interface Push {
  readonly channel: string;
  readonly type: string;
  readonly epoch?: string;
  readonly prev?: number | null;
  readonly from?: number;
  readonly to?: number;
  readonly reason?: string;
  readonly missed?: number | null;
  readonly seq?: number;
  readonly data?: unknown;
}

export interface Outcome {
  readonly epoch: string;
  readonly seq: number | null;
  readonly recovered: boolean;
}

/** The truth at the end. */
export interface Truth {
  readonly listing: Listing;
  /** Which incarnation of its shard's numbering an epoch id names. */
  epochOf(id: string): number;
  /** Candles that closed in the present epoch, with the seq at which they did, and the current one. */
  readonly candles: { readonly closed: readonly { seq: number; candle: Candle }[]; readonly current: Candle | null };
}

export interface FollowingPorts {
  readonly violation: (text: string) => void;
  readonly again: () => void;
  /** Its venue's numbers fell once, for a store lost what was used. */
  readonly fell: (name: string) => boolean;
  /** What the channel's book was at a seq; undefined where the venue's records do not say. */
  readonly bookAt: (name: string, seq: number) => string | undefined;
}

export abstract class Following {
  readonly name: string;
  readonly #violation: (text: string) => void;
  epoch = "";
  have: number | null = null;
  stale = false;
  /** For the report of a failure: what came, shortened. */
  readonly log: string[] = [];

  /** What protocol.md says of items that do not continue: subscribe anew with `since`. */
  protected readonly again: () => void;
  /** The venue's numbers fell once. */
  protected readonly fell: () => boolean;

  protected readonly bookAt: (seq: number) => string | undefined;

  constructor(name: string, { violation, again, fell, bookAt }: FollowingPorts) {
    this.bookAt = (seq) => bookAt(name, seq);
    this.name = name;
    this.#violation = violation;
    this.again = again;
    this.fell = () => fell(name);
  }

  get position(): Position | null {
    return this.have === null || this.epoch === "" ? null : { epoch: this.epoch, seq: this.have };
  }

  begin(outcome: Outcome, since: Position | null): void {
    this.log.push(`reply ${JSON.stringify(outcome)}${since === null ? "" : ` since ${since.epoch} ${since.seq}`}`);
    this.stale = false;
    if (since !== null && outcome.recovered && outcome.epoch !== since.epoch)
      this.violated("recovered in another epoch");
    if (since === null && outcome.recovered) this.violated("recovered without since");
    this.begun(outcome, since);
  }

  take(push: Push): void {
    const { type, epoch, prev, from, to, seq } = push;
    this.log.push(`${type} ${JSON.stringify({ epoch, prev, from, to, seq })}`);
    if (type === "stale") this.stale = true;
    else if (type !== "cadence") this.taken(push);
  }

  /** What is wrong at the end. */
  abstract judge(truth: Truth): string[];
  protected abstract begun(outcome: Outcome, since: Position | null): void;
  protected abstract taken(push: Push): void;

  protected violated(text: string): void {
    this.#violation(`${this.name}: ${text}; ${this.log.slice(-25).join(" / ")}`);
  }
}

export class BookFollowing extends Following {
  readonly #book = new ModelBook();
  #whole = false;

  protected begun(outcome: Outcome, since: Position | null): void {
    if (since !== null && outcome.recovered) return;
    this.#whole = false;
    this.have = null;
    this.epoch = outcome.epoch;
  }

  protected taken(push: Push): void {
    const { type, epoch, prev, seq } = push;
    const data = push.data as Depth;
    const fresh = epoch !== undefined && epoch !== this.epoch;
    if (seq === undefined) {
      this.violated("push without seq");
      return;
    }
    if (type === "snapshot") {
      if (epoch === undefined) this.violated("snapshot without epoch");
      if (!fresh && prev === undefined && this.have !== null && seq < this.have) return;
      this.#book.replace(data);
      if (data.bids.length + data.asks.length !== this.#book.bids.length + this.#book.asks.length) {
        this.violated("snapshot with zero or repeated levels");
      }
      this.#whole = true;
      this.epoch = epoch ?? this.epoch;
      this.have = seq;
      this.stale = false;
    } else if (type === "delta") {
      if (fresh || !this.#whole || this.have === null) {
        this.violated("delta without a snapshot");
        return;
      }
      if (seq <= this.have) return;
      if (prev === null || prev === undefined || prev > this.have) {
        this.violated("delta does not continue");
        return;
      }
      this.#book.apply(data);
      this.have = seq;
    } else this.violated(`unexpected ${type}`);
    const theirs = this.bookAt(seq);
    if (theirs === undefined || this.stale || this.have !== seq) return;
    const mine = this.#book.text();
    if (mine !== theirs) this.violated(`the book at ${seq} differs: ${mine} instead of ${theirs}`);
  }

  judge({ listing }: Truth): string[] {
    if (listing.broken)
      return this.stale || !this.#whole ? [] : ["the source's book is stale, the client was not told"];
    if (this.stale) return ["still shows stale"];
    if (!this.#whole) return ["never got a book"];
    const mine = this.#book.text();
    const theirs = listing.book.text();
    return mine === theirs ? [] : [`book differs: ${mine} instead of ${theirs}`];
  }
}

export class ValueFollowing extends Following {
  #value: unknown = null;

  protected begun(outcome: Outcome, since: Position | null): void {
    if (since !== null && outcome.recovered) return;
    this.have = null;
    this.epoch = outcome.epoch;
    this.#value = null;
  }

  protected taken({ type, epoch, seq, data }: Push): void {
    if (type !== "value" || seq === undefined) {
      this.violated(`unexpected ${type}`);
      return;
    }
    this.stale = false;
    const fresh = epoch !== undefined && epoch !== this.epoch;
    if (!fresh && this.have !== null && seq <= this.have) return;
    this.epoch = epoch ?? this.epoch;
    this.have = seq;
    this.#value = data;
  }

  judge({ listing }: Truth): string[] {
    if (listing.broken)
      return this.stale || this.#value === null ? [] : ["the source's book is stale, the client was not told"];
    if (this.stale) return ["still shows stale"];
    const mine = JSON.stringify(this.#value);
    const theirs = JSON.stringify(this.name.endsWith("@bookTicker") ? topOf(listing) : top5Of(listing));
    return mine === theirs ? [] : [`value differs: ${mine} instead of ${theirs}`];
  }
}

export const topOf = ({ book }: Listing) => {
  const [bid = ["0", "0"]] = book.bids;
  const [ask = ["0", "0"]] = book.asks;
  return { bid: bid[0], bidQuantity: bid[1], ask: ask[0], askQuantity: ask[1] };
};

export const top5Of = ({ book }: Listing) => ({ bids: book.bids.slice(0, 5), asks: book.asks.slice(0, 5) });

/** What a client knows to be missing: from a position on up to another one, of the same epoch or a later one. */
interface Told {
  readonly fromEpoch: string;
  readonly from: number;
  readonly toEpoch: string;
  readonly to: number;
}

/** Where a client's view of a lossless channel begins. */
interface Beginning {
  /** Everything behind it; null: everything of the epoch. */
  readonly seq: number | null;
  epoch: string;
}

export class TradesFollowing extends Following {
  #beginning: Beginning = { seq: null, epoch: "" };
  #ids: string[] = [];
  #gaps: Told[] = [];
  /** Gaps that say how many items are in them. */
  #counted: { readonly from: number; readonly to: number; readonly missed: number }[] = [];
  /** The last position, of whatever epoch. */
  #reached = -1;
  /** A gap has announced the epoch; its first items have no prev. */
  #announced = false;
  /** The reply did not say whether what follows continues what we have. */
  #unsure = false;

  get gaps(): number {
    return this.#gaps.length;
  }

  protected begun({ epoch, seq, recovered }: Outcome, since: Position | null): void {
    this.#unsure = false;
    if (since === null || this.have === null) {
      this.#beginning = { seq, epoch };
      this.#ids = [];
      this.#gaps = [];
      this.#counted = [];
      this.have = seq;
      this.epoch = epoch;
      this.#announced = false;
      this.#reached = seq ?? -1;
    } else if (epoch === "" || (epoch === since.epoch && (seq ?? -1) < since.seq)) {
      // The node has not heard of the owner, or is behind where we are: what follows may not fit.
      this.#unsure = true;
    } else if (!recovered && epoch !== since.epoch && seq === null) {
      // The reply itself says that the old numbering is over; nothing has come in the new one.
      this.#gaps.push({ fromEpoch: since.epoch, from: this.have + 1, toEpoch: epoch, to: -1 });
      this.have = null;
      this.epoch = epoch;
    }
  }

  protected taken(push: Push): void {
    if (push.type === "gap") {
      this.#gap(push);
      return;
    }
    if (push.type !== "items") {
      this.violated(`unexpected ${push.type}`);
      return;
    }
    this.#items(push);
  }

  #gap({ epoch, from, to, reason, missed }: Push): void {
    // Who was left out and lost nothing is told so.
    const isEmpty = reason === "slow" && missed === 0 && to === Number(from) - 1;
    if (from === undefined || to === undefined || (to < from && !isEmpty)) {
      this.violated("malformed gap");
      return;
    }
    if (this.have !== null && from > this.have + 1) this.violated("gap begins behind a hole");
    const fresh = epoch !== undefined && epoch !== this.epoch;
    if (this.have !== null && to < this.have && !this.fell()) {
      this.violated("gap ends before what we have");
      return;
    }
    const toEpoch = epoch ?? this.epoch;
    const reached = this.have === null ? -1 : this.#reached;
    this.#gaps.push({
      fromEpoch: this.epoch || toEpoch,
      from: fresh ? reached + 1 : Math.max(from, reached + 1),
      toEpoch,
      to,
    });
    if (reason === "slow" && typeof missed === "number") this.#counted.push({ from, to, missed });
    this.have = to;
    this.#reached = to;
    if (epoch !== undefined) this.#enter(epoch);
    this.#announced = reason === "epoch";
  }

  /** Who subscribed before the channel had any data learns only now where it began. */
  #enter(epoch: string): void {
    this.epoch = epoch;
    if (this.#beginning.seq === null && this.#beginning.epoch === "") this.#beginning.epoch = epoch;
  }

  #items({ epoch, prev, seq, data }: Push): void {
    if (seq === undefined || prev === undefined) {
      this.violated("items without seq or prev");
      return;
    }
    if (epoch !== undefined && epoch !== this.epoch) {
      if (this.have !== null && !this.#unsure) {
        this.violated("items of another epoch without a gap");
        return;
      }
      if (this.have !== null) {
        this.again();
        return;
      }
      this.#enter(epoch);
    }
    if (this.have !== null && prev !== this.have) {
      const first = prev === null && this.#announced && seq > this.have;
      if (seq <= this.have) return;
      if (!first && this.#unsure) {
        this.again();
        return;
      }
      if (!first) {
        this.violated("items do not continue");
        return;
      }
    }
    if (this.have === null && prev !== null) this.violated("first items have a prev");
    this.#announced = false;
    this.#unsure = false;
    this.stale = false;
    this.have = seq;
    this.#reached = seq;
    for (const { id } of data as { id: string }[]) this.#ids.push(id);
  }

  judge({ listing, epochOf }: Truth): string[] {
    if (listing.returned) return [];
    const { seq, epoch } = this.#beginning;
    const began = epoch === "" ? Number.POSITIVE_INFINITY : epochOf(epoch);
    const since = (one: { seq: number; epoch: number }): boolean =>
      one.epoch > began || (one.epoch === began && one.seq > (seq ?? -1));
    const gaps = this.#gaps.map((gap) => ({ ...gap, begins: epochOf(gap.fromEpoch), ends: epochOf(gap.toEpoch) }));
    const told = (one: { seq: number; epoch: number }): boolean =>
      gaps.some(
        ({ begins, from, ends, to }) =>
          (one.epoch > begins || (one.epoch === begins && one.seq >= from)) &&
          (one.epoch < ends || (one.epoch === ends && one.seq <= to)),
      );
    const faults: string[] = [];
    for (const { from, to, missed } of this.#counted) {
      const lost = listing.trades.filter((trade) => trade.seq >= from && trade.seq <= to).length;
      if (lost !== missed) faults.push(`the gap from ${from} to ${to} says ${missed} are missed, it is ${lost}`);
    }
    const expected = listing.trades.filter((trade) => since(trade) && !told(trade)).map((trade) => trade.id);
    // Where numbers fell, what is of which epoch cannot be told by them: some may have come again.
    if (expected.join() !== this.#ids.join() && !(this.fell() && expected.every((id) => this.#ids.includes(id)))) {
      const missing = expected.filter((id) => !this.#ids.includes(id));
      const extra = this.#ids.filter((id) => !expected.includes(id));
      faults.push(`trades differ: missing ${missing}, extra ${extra}, ${this.#ids.length} of ${expected.length}`);
    }
    for (const gap of listing.gaps) if (since(gap) && !told(gap)) faults.push(`the source's gap at ${gap.seq} untold`);
    return faults;
  }
}

export class CandlesFollowing extends Following {
  #start: number | null = null;
  #startEpoch = "";
  #current: Candle | null = null;
  readonly #closed = new Map<number, string>();

  protected begun(outcome: Outcome, since: Position | null): void {
    if (since !== null && outcome.recovered) return;
    this.have = null;
    this.epoch = outcome.epoch;
    this.#start = outcome.seq;
    this.#startEpoch = outcome.epoch;
    this.#current = null;
    this.#closed.clear();
  }

  protected taken({ type, epoch, seq, data }: Push): void {
    if (type !== "value" || seq === undefined) {
      this.violated(`unexpected ${type}`);
      return;
    }
    this.stale = false;
    const fresh = epoch !== undefined && epoch !== this.epoch;
    // Equal: a flush that holds what closed before the state that was told aside (a lap, a join) stood there already.
    if (!fresh && this.have !== null && seq < this.have) return;
    this.epoch = epoch ?? this.epoch;
    this.have = seq;
    let last = -1;
    for (const candle of data as Candle[]) {
      if (candle.openTime <= last) this.violated("candles out of order");
      last = candle.openTime;
      if (candle.closed) this.#closed.set(candle.openTime, JSON.stringify(candle));
      this.#current = candle;
    }
  }

  judge({ listing, candles, epochOf }: Truth): string[] {
    if (this.stale) return ["still shows stale"];
    if (listing.returned) return [];
    const faults: string[] = [];
    const mine = JSON.stringify(this.#current);
    const theirs = JSON.stringify(candles.current);
    if (mine !== theirs) faults.push(`candle differs: ${mine} instead of ${theirs}`);
    const began = this.#startEpoch === "" ? -1 : epochOf(this.#startEpoch);
    const present = listing.trades.at(-1)?.epoch ?? 0;
    for (const { seq, candle } of candles.closed) {
      if (began === present && this.#start !== null && seq <= this.#start) continue;
      // Whoever knew no epoch yet may have come after it closed.
      if (this.#startEpoch === "") continue;
      const got = this.#closed.get(candle.openTime);
      if (got !== JSON.stringify(candle)) faults.push(`closed candle ${candle.openTime} at ${seq}: ${got}`);
    }
    return faults;
  }
}

export function followingOf(name: string, ports: FollowingPorts): Following {
  const stream = name.slice(name.indexOf("@") + 1);
  if (stream === "depth") return new BookFollowing(name, ports);
  if (stream === "trade") return new TradesFollowing(name, ports);
  if (stream.startsWith("kline_")) return new CandlesFollowing(name, ports);
  return new ValueFollowing(name, ports);
}
