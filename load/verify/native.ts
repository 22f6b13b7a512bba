/**
 * The subscriptions of one session in the native dialect, verified push by push (docs/protocol.md, "Keeping state").
 *
 * On the path: client -> NATIVE -> tally.
 * Invariants: only the head of a frame is read, and the ids of trades; whole frames are parsed for replies and for books
 * that are kept. After a fault the session goes on from where the faulty push stands: one fault counts once.
 */
import { Chain, type Head, type Reply, readFrame } from "../../client/src/mod.ts";
import type { Histogram } from "../histogram.ts";
import { textFrame } from "../socket/frames.ts";
import { type Checks, type Content, contentOf } from "./checks.ts";
import type { Feed, FeedPlan, Subscribed } from "./feed.ts";
import { KeptBook } from "./kept-book.ts";
import { type TradeId, tradeId } from "./trade-ids.ts";

/** More than the head of any push has. */
const HEAD_BYTES = 512;
const LETTER_C = 99;

class Subscription {
  readonly name: string;
  readonly content: Content;
  readonly chain = new Chain();
  /** Until its first push in the chain: what begins a subscription may overlap. */
  fresh = true;
  lastId: TradeId | null = null;
  readonly book: KeptBook | null;

  constructor(name: string, book: KeptBook | null) {
    this.name = name;
    this.content = contentOf(name);
    this.book = book;
  }
}

export class NativeFeed implements Feed {
  readonly #checks: Checks;
  readonly #plan: FeedPlan;
  readonly #subscriptions: Subscription[];

  constructor(plan: FeedPlan, checks: Checks, keepsBooks: boolean) {
    this.#plan = plan;
    this.#checks = checks;
    this.#subscriptions = plan.names.map((name) => {
      const hasBook = keepsBooks && contentOf(name) === "book";
      return new Subscription(name, hasBook ? new KeptBook(name, checks) : null);
    });
  }

  /** The first time the same bytes for all sessions; later with `since`, where there is a position. */
  subscribe(): Buffer {
    const since: Record<string, { epoch: string; seq: number }> = {};
    for (const { name, chain } of this.#subscriptions) if (chain.position !== null) since[name] = chain.position;
    if (Object.keys(since).length === 0) return this.#plan.subscribeFrame;
    return textFrame(JSON.stringify({ ...this.#plan.command, since }));
  }

  /** The socket is gone; chains go on from their positions. */
  lost(): void {
    for (const subscription of this.#subscriptions) {
      subscription.fresh = true;
      const { chain, content } = subscription;
      if (chain.position !== null) continue;
      // Items go on from where the reply said that they stand; all else begins anew.
      const start = content === "trades" || content === "aggTrades" ? chain.start : null;
      if (start === null) chain.forget();
      else chain.resume(start);
    }
  }

  /** Commands that ask for the whole of each kept book again: it must be the book we have. */
  recheck(): Buffer[] {
    const kept = this.#subscriptions.filter(({ book }) => book?.isWhole === true);
    return kept.map(({ name }) => textFrame(JSON.stringify({ op: "resync", channel: name })));
  }

  text(bytes: Buffer, from: number, to: number, latency: Histogram): Subscribed | null {
    const { head, level } = this.#checks;
    // {"channel" is a push of a channel; everything else is rare.
    if (bytes[from + 2] !== LETTER_C) return this.#other(bytes.toString("utf8", from, to));
    let text = bytes.toString("utf8", from, Math.min(to, from + HEAD_BYTES));
    if (!head.read(text)) {
      text = bytes.toString("utf8", from, to);
      if (!head.read(text)) return this.#other(text);
    }
    const { dataAt } = head;
    this.#checks.push(head.sentUs, to - from, latency);
    if (this.#checks.measuring && text.startsWith('{"ts":', dataAt)) this.#source(text, dataAt + 6);
    if (level === "none") return null;
    if (bytes[to - 1] !== 125) this.#frameFault(text);
    const at = this.#plan.indexOf.get(head.channel);
    const subscription = at === undefined ? undefined : this.#subscriptions[at];
    if (subscription === undefined) this.#frameFault(text);
    else this.#verify(subscription, head, bytes, from, to);
    return null;
  }

  #source(text: string, at: number): void {
    const ts = Number.parseInt(text.slice(at, at + 16), 10);
    if (ts > 1e14) this.#checks.tally.source.add(this.#checks.nowUs - ts);
  }

  #verify(subscription: Subscription, head: Head, bytes: Buffer, from: number, to: number): void {
    const { counts } = this.#checks.tally;
    if (head.type === "stale") counts.stale += 1;
    else if (head.type === "cadence") counts.cadences += 1;
    else {
      counts.links += 1;
      this.#link(subscription, head, () => bytes.toString("utf8", from, to));
    }
  }

  #link(subscription: Subscription, head: Head, whole: () => string): void {
    const { tally } = this.#checks;
    const { chain, name, fresh } = subscription;
    const { type, prev, seq } = head;
    const { have } = chain;
    if (head.epoch !== undefined) head.epoch = this.#checks.epoch(head.epoch);
    const verdict = chain.accept(head);
    const restarts = verdict === "restart";
    const isAhead = typeof prev === "number" && have !== null && prev > have && !restarts;
    if (type === "gap") this.#gap(subscription, head);
    else if (verdict === "broken" || (type === "value" && isAhead && !fresh)) this.#broken(subscription, head, have);
    else if (verdict === "ignore") this.#known(subscription, head, have);
    else {
      if (restarts && type === "items" && !fresh)
        tally.fault("chain", () => `${name}: items of a new epoch, and no gap told`);
      if (typeof prev === "number" && have !== null && prev < have && !fresh && !restarts) tally.counts.overlaps += 1;
      if (type !== "snapshot") subscription.fresh = false;
      if (restarts) subscription.lastId = null;
      if (type === "items") this.#trades(subscription, whole);
      else if (subscription.book !== null && type !== "value")
        this.#book(subscription, subscription.book, whole(), have === seq && !restarts, have === null || restarts);
    }
  }

  #gap(subscription: Subscription, { missed }: Head): void {
    const { counts } = this.#checks.tally;
    counts.gaps += 1;
    if (missed === null) counts.gapsUnknown += 1;
    else counts.missed += missed;
    subscription.lastId = null;
  }

  #broken(subscription: Subscription, { type, prev, seq, epoch }: Head, have: number | null): void {
    const { name, chain } = subscription;
    this.#checks.tally.fault("chain", () => `${name}: ${type} ${prev}..${seq} after ${have}`);
    chain.resume({ epoch: epoch ?? chain.epoch ?? "", seq });
    subscription.lastId = null;
    subscription.book?.forget();
  }

  /** A push that brings nothing new. What begins a subscription may; a lossless kind never again afterwards. */
  #known(subscription: Subscription, { type, seq }: Head, have: number | null): void {
    if (subscription.fresh) return;
    if (type === "items") {
      this.#checks.tally.fault("order", () => `${subscription.name}: items ${seq} after ${have}`);
    } else if (type !== "snapshot") this.#checks.tally.counts.overlaps += 1;
  }

  #trades(subscription: Subscription, whole: () => string): void {
    const { content, name } = subscription;
    if (content !== "trades" && content !== "aggTrades") return;
    const key = content === "trades" ? '{"id":"' : '{"a":';
    const end = content === "trades" ? '"' : ",";
    const text = whole();
    for (let at = text.indexOf(key); at >= 0; at = text.indexOf(key, at)) {
      at += key.length;
      const id = tradeId(text.slice(at, text.indexOf(end, at)));
      if (subscription.lastId !== null) this.#checks.ids.follows(name, subscription.lastId, id);
      subscription.lastId = id;
    }
  }

  #book({ chain }: Subscription, book: KeptBook, text: string, isSame: boolean, begins: boolean): void {
    const read = readFrame(text);
    const push = read !== null && "push" in read ? read.push : null;
    const epoch = chain.epoch ?? "";
    if (push?.type === "snapshot") book.snapshot(push.data, isSame, epoch, push.seq);
    else if (push?.type === "delta") book.delta(push.data, begins, epoch, push.seq);
    else this.#frameFault(text);
  }

  #other(text: string): Subscribed | null {
    const read = readFrame(text);
    if (read === null) this.#frameFault(text);
    else if ("reply" in read) return this.#reply(read.reply);
    else if (read.push.type === "drain") this.#checks.tally.counts.drains += 1;
    else this.#frameFault(text);
    return null;
  }

  #reply({ id, channels, error, errors }: Reply): Subscribed | null {
    let recovered = 0;
    let begun = 0;
    for (const [name, outcome] of Object.entries(channels ?? {})) {
      const at = this.#plan.indexOf.get(name);
      if (at === undefined || typeof outcome !== "object") continue;
      begun += 1;
      const subscription = this.#subscriptions[at]!;
      if (outcome.recovered === true) recovered += 1;
      else if (subscription.fresh) subscription.lastId = null;
      subscription.chain.begins(outcome.epoch, outcome.seq);
    }
    if (id !== this.#plan.command.id) return null;
    const refused = errors ?? (error === undefined ? [] : [error]);
    return {
      begun,
      recovered,
      refused: refused.map(({ code, message, channel }) => `${code} ${message} ${channel ?? ""}`.trim()),
    };
  }

  #frameFault(text: string): void {
    this.#checks.tally.fault("frame", () => text.slice(0, 120));
  }
}
