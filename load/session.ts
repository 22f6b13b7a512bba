/**
 * One connection of a load run through all its lives: connects, subscribes, hands what comes to its feed, is lost, comes
 * back.
 *
 * On the path: client -> SESSION -> feed.
 * Invariants: it holds no timer; what is to happen later it asks of its part. `gone` is called once for each `connect`.
 */
import type { Histogram } from "./histogram.ts";
import type { Place } from "./plan.ts";
import { Client, type ClientListener } from "./socket/client.ts";
import type { Tally } from "./tally.ts";
import type { Checks } from "./verify/checks.ts";
import type { Feed } from "./verify/feed.ts";

/** What a session needs of the process it lives in. */
export interface SessionHost {
  readonly tally: Tally;
  readonly checks: Checks;
  wallUs(): number;
  monotonicMs(): number;
  /** The answer to its subscribe is there, or, by URL, the socket is open. */
  answered(session: Session): void;
  /** The socket is gone, or never was; `asked`: because this side wanted it. */
  gone(session: Session, asked: boolean): void;
}

const CLOSE_KINDS_MAX = 200;
const REASON_LETTERS_MAX = 80;

export class Session implements ClientListener {
  /** Of the whole run. */
  readonly index: number;
  readonly feed: Feed;
  readonly isSlow: boolean;
  readonly #host: SessionHost;
  readonly #place: Place;
  readonly #localAddress: string | null;
  readonly #latency: Histogram;
  #client: Client | null = null;
  #startedMs = 0;
  #asked = false;
  /** Connections begun, the first included. */
  attempts = 0;
  /** Attempts since the last one that was opened. */
  failures = 0;
  bytes = 0;
  /** Its part has counted its first attempt as ended. */
  isTried = false;

  constructor(
    host: SessionHost,
    index: number,
    place: Place,
    localAddress: string | null,
    feed: Feed,
    isSlow: boolean,
  ) {
    this.#host = host;
    this.index = index;
    this.#place = place;
    this.#localAddress = localAddress;
    this.feed = feed;
    this.isSlow = isSlow;
    this.#latency = isSlow ? host.tally.slow : host.tally.latency;
  }

  get client(): Client | null {
    return this.#client;
  }

  get isOpen(): boolean {
    return this.#client?.isOpen === true;
  }

  connect(): void {
    this.attempts += 1;
    this.failures += 1;
    this.#asked = false;
    const { counts } = this.#host.tally;
    counts.attempts += 1;
    if (this.attempts > 1) counts.reconnects += 1;
    this.#startedMs = this.#host.monotonicMs();
    this.#client = new Client(this.#place.target, this);
    this.#client.connect(this.#localAddress);
  }

  /** Without a goodbye, as if the network was gone. */
  drop(): void {
    this.#asked = true;
    this.#client?.drop();
  }

  /** The connection was not there in time. */
  giveUp(attempt: number, reason: string): void {
    if (attempt === this.attempts && this.#client !== null && !this.#client.isOpen) this.#client.drop(reason);
  }

  close(): void {
    this.#asked = true;
    this.#client?.close();
  }

  /** Asks for what the kept books can be compared with. */
  recheck(): void {
    for (const frame of this.feed.recheck()) this.#client?.send(frame);
  }

  // ---- ClientListener

  received(bytes: number): void {
    const { checks, tally } = this.#host;
    checks.nowUs = this.#host.wallUs();
    tally.counts.bytes += bytes;
    this.bytes += bytes;
  }

  opened(): void {
    const { tally } = this.#host;
    this.failures = 0;
    const nowMs = this.#host.monotonicMs();
    tally.counts.opened += 1;
    tally.counts.open += 1;
    tally.connect.add((nowMs - this.#startedMs) * 1000);
    this.#startedMs = nowMs;
    const subscribe = this.feed.subscribe();
    if (subscribe !== null) this.#client?.send(subscribe);
    else this.#begun(0, []);
  }

  text(bytes: Buffer, from: number, to: number): void {
    const answer = this.feed.text(bytes, from, to, this.#latency);
    if (answer === null) return;
    const { tally } = this.#host;
    tally.subscribe.add((this.#host.monotonicMs() - this.#startedMs) * 1000);
    tally.counts.recovered += answer.recovered;
    if (this.attempts > 1) tally.counts.notRecovered += answer.begun - answer.recovered;
    this.#begun(answer.begun, answer.refused);
  }

  #begun(channels: number, refused: readonly string[]): void {
    const { tally } = this.#host;
    tally.counts.refused += refused.length;
    for (const reason of refused) count(tally.refusals, reason);
    if (refused.length === 0 || channels > 0) tally.counts.subscribed += 1;
    this.#host.answered(this);
  }

  ping(): void {
    this.#host.tally.counts.pings += 1;
  }

  fault(sentence: string): void {
    this.#host.tally.fault("frame", () => sentence);
  }

  closed(code: number, reason: string, opened: boolean): void {
    this.#client = null;
    const { tally } = this.#host;
    if (opened) {
      tally.counts.open -= 1;
      this.feed.lost();
    }
    if (opened && !this.#asked) count(tally.closes, `${code} ${reason}`.trim());
    if (!opened && !this.#asked) {
      tally.counts.failed += 1;
      count(tally.failures, reason);
    }
    this.#host.gone(this, this.#asked);
  }
}

/** Texts are the other side's: there may be any number of them. */
function count(into: Record<string, number>, text: string): void {
  const short = text.slice(0, REASON_LETTERS_MAX);
  const key = short in into || Object.keys(into).length < CLOSE_KINDS_MAX ? short : "others";
  into[key] = (into[key] ?? 0) + 1;
}
