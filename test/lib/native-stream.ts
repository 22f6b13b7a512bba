/**
 * One subscription of a native client, kept by the rules of docs/protocol.md ("Native: keeping state").
 *
 * Invariants: whatever the rules call missing is a line in `faults`; whatever the gateway told is in `notices`; every push
 * is in `pushes` as it came. A test that ends without faults has seen an unbroken chain.
 */
import type { Frame } from "./frame-socket.ts";
import { PlainBook } from "./plain-book.ts";

export interface Push extends Frame {
  readonly channel: string;
  readonly type: string;
  readonly epoch?: string;
  readonly prev?: number | null;
  readonly from?: number;
  readonly seq?: number;
  readonly to?: number;
  readonly time?: number;
  readonly sentUs?: number;
  readonly data?: unknown;
}

interface DepthData {
  readonly bids: [string, string][];
  readonly asks: [string, string][];
}

export class NativeStream {
  readonly asked: string;
  epoch: string | null;
  have: number | null;
  readonly book = new PlainBook();
  /** Of lossless kinds, in order. */
  readonly items: Frame[] = [];
  /** Of a value kind: the newest. */
  value: unknown = null;
  /** By open time. */
  readonly candles = new Map<number, Frame>();
  stale = false;
  readonly pushes: Push[] = [];
  /** Types of pushes that are not data: stale, gap, cadence. */
  readonly notices: Push[] = [];
  readonly faults: string[] = [];
  /** Deltas of which a part was known already: allowed, but not where a chain should be exact. */
  overlaps = 0;

  constructor(asked: string, since: { readonly epoch: string; readonly seq: number } | null) {
    this.asked = asked;
    this.epoch = since?.epoch ?? null;
    this.have = since?.seq ?? null;
  }

  get isItems(): boolean {
    return /@(trade|aggTrade|forceOrder)$/.test(this.asked);
  }

  /**
   * The reply to its subscribe says where the stream stands behind everything that it brings. That counts for who has no
   * position yet: what the subscription brings may come before the reply, or, for a part of it, after.
   */
  begin(epoch: string, seq: number | null): void {
    this.epoch ??= epoch;
    this.have ??= seq;
  }

  take(push: Push): void {
    this.pushes.push(push);
    const news = push.epoch !== undefined && push.epoch !== this.epoch;
    if (news) {
      if (push.prev !== undefined && push.prev !== null && this.epoch !== null)
        this.faults.push(`epoch ${push.epoch} begins with prev ${push.prev}`);
      this.epoch = push.epoch as string;
      this.have = null;
      if (push.type !== "gap") this.book.clear();
    }
    switch (push.type) {
      case "snapshot":
        this.#snapshot(push, news);
        break;
      case "delta":
        this.#delta(push);
        break;
      case "value":
        this.#value(push);
        break;
      case "items":
        this.#items(push);
        break;
      case "gap":
        this.notices.push(push);
        this.have = push.to ?? null;
        break;
      case "stale":
        this.notices.push(push);
        this.stale = true;
        break;
      case "cadence":
        this.notices.push(push);
        break;
      default:
        this.faults.push(`a push of type ${push.type}`);
    }
  }

  #snapshot(push: Push, news: boolean): void {
    if (!news && push.prev === undefined && this.have !== null && seqOf(push) < this.have) return;
    if (push.prev !== undefined && push.prev !== null && push.prev !== this.have)
      this.faults.push(`snapshot with prev ${push.prev}, have ${this.have}`);
    const { bids, asks } = push.data as DepthData;
    this.book.clear();
    this.book.apply(bids, asks);
    this.have = seqOf(push);
    this.stale = false;
  }

  #delta(push: Push): void {
    const seq = seqOf(push);
    if (this.have !== null && seq <= this.have) {
      this.overlaps++;
      return;
    }
    const prev = push.prev ?? null;
    if (prev !== this.have && (prev === null || this.have === null || prev > this.have)) {
      this.faults.push(`delta ${prev} -> ${seq}, have ${this.have}`);
    }
    if (prev !== null && this.have !== null && prev < this.have) this.overlaps++;
    if (this.stale) this.faults.push(`delta ${seq} while stale`);
    const { bids, asks } = push.data as DepthData;
    this.book.apply(bids, asks);
    this.have = seq;
  }

  #value(push: Push): void {
    const seq = seqOf(push);
    // What the subscription begins with has the seq of its reply, which may come first.
    const isFirst = this.value === null && this.candles.size === 0;
    if (this.have !== null && (seq < this.have || (seq === this.have && !isFirst))) return;
    this.have = seq;
    this.stale = false;
    if (!Array.isArray(push.data)) {
      this.value = push.data;
      return;
    }
    for (const candle of push.data as Frame[]) this.#candle(candle);
  }

  #candle(candle: Frame): void {
    const openTime = candle.openTime as number;
    if (this.candles.get(openTime)?.closed === true && candle.closed !== true)
      this.faults.push(`candle ${openTime} was closed already`);
    this.candles.set(openTime, candle);
  }

  #items(push: Push): void {
    const seq = seqOf(push);
    const prev = push.prev ?? null;
    if (this.have !== null && seq <= this.have) {
      this.faults.push(`items ${seq} a second time, have ${this.have}`);
      return;
    }
    // The first items of an epoch have no prev; the gap before them says so.
    const begins = prev === null && this.pushes.at(-2)?.type === "gap" && this.pushes.at(-2)?.reason === "epoch";
    if (this.have !== null && prev !== this.have && !begins)
      this.faults.push(`items ${prev} -> ${seq}, have ${this.have}`);
    this.items.push(...(push.data as Frame[]));
    this.have = seq;
  }
}

/** Pushes of a value that do not follow the one before: for a source that publishes each value once, at real time. */
export function brokenLinks(pushes: readonly Push[]): string[] {
  return pushes.flatMap(({ prev, seq }, at) => {
    const before = pushes[at - 1]?.seq;
    return at === 0 || prev === before ? [] : [`${before}, then ${prev} -> ${seq}`];
  });
}

function seqOf(push: Push): number {
  if (typeof push.seq !== "number") throw new Error(`a push without seq: ${JSON.stringify(push)}`);
  return push.seq;
}
