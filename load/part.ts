/**
 * One process's part of a load run: opens its connections at its rate, keeps them, verifies what they get, counts.
 *
 * On the path: plan -> PART -> sessions -> tally.
 * Invariants: one timer for everything; a connection that is lost comes back after a wait that grows, spread at random.
 * At the limit: what this process cannot read in time shows as latency: the report has the process's CPU for that.
 */
import type { Clock } from "../src/lib/clock.ts";
import { depthUrl, isCombined, type PartPlan, type Place, Places, trust } from "./plan.ts";
import { Session, type SessionHost } from "./session.ts";
import { SlowReaders } from "./slow.ts";
import { Tally, type TallyWire } from "./tally.ts";
import { BinanceFeed } from "./verify/binance.ts";
import { Checks } from "./verify/checks.ts";
import type { Feed } from "./verify/feed.ts";
import { NativeFeed } from "./verify/native.ts";
import { Wheel } from "./wheel.ts";

const tickMs = 5;
const connectMsMax = 30_000;
const recheckMs = 10_000;
/** Until it comes back: doubled from the first to the last, each cut at random to between half and all of it. */
const returnMsFirst = 500;
const returnMsMax = 8000;
const slowTickMs = 50;
/** Of the sessions with books one in a hundred keeps them: at least two, at most twenty. */
const booksEvery = 100;
const booksMin = 2;
const booksMax = 20;
/** What the last frames need to leave the sockets. */
const goodbyeMs = 100;

export class Part implements SessionHost {
  readonly tally = new Tally();
  readonly checks: Checks;
  /** Settles when each connection was tried once. */
  readonly tried: Promise<void>;
  readonly #plan: PartPlan;
  readonly #clock: Clock;
  readonly #sessions: Session[] = [];
  readonly #places: Places;
  readonly #wheel: Wheel;
  readonly #slow: SlowReaders;
  readonly #bookEvery: number;
  #timer: Timer | null = null;
  #startMs = 0;
  #begun = 0;
  #waiting: number;
  /** Sessions so far that have books to keep. */
  #withBooks = 0;
  #allTried: () => void = () => undefined;
  #measuredFromMs: number | null = null;
  #stopping = false;
  #slowTickedMs = 0;
  #lastRate = { ms: 0, bytes: 0, perSession: 0 };
  #rssMs = 0;
  #cpuFrom = process.cpuUsage();

  constructor(plan: PartPlan, clock: Clock) {
    const { options, count } = plan;
    this.#plan = plan;
    this.#clock = clock;
    this.checks = new Checks(this.tally, options.verify);
    this.#places = new Places(plan);
    this.#wheel = new Wheel(10, clock.monotonicMs());
    this.#slow = new SlowReaders(
      options.slowBufferBytes,
      options.urls.some((url) => url.startsWith("wss:")),
    );
    this.#waiting = count;
    const every = Math.max(booksEvery, Math.ceil(count / booksMax));
    this.#bookEvery = Math.max(1, Math.min(every, Math.floor(count / booksMin)));
    this.tried = new Promise((resolve) => {
      this.#allTried = resolve;
    });
  }

  start(): void {
    this.#startMs = this.#clock.monotonicMs();
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#tick();
    if (this.#plan.options.verify !== "none") this.#recheckLater();
  }

  /** Opens the window: from now on rates and latencies count. */
  measure(): void {
    this.checks.measuring = true;
    this.#cpuFrom = process.cpuUsage();
    this.#measuredFromMs = this.#clock.monotonicMs();
  }

  /** Closes the window and then all sessions. */
  async stop(): Promise<TallyWire> {
    this.wire();
    this.checks.measuring = false;
    this.#measuredFromMs = null;
    this.#stopping = true;
    const wire = this.tally.wire();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#wheel.clear();
    for (const session of this.#sessions) session.close();
    await Bun.sleep(goodbyeMs);
    return wire;
  }

  /** What was counted so far. */
  wire(): TallyWire {
    if (this.#measuredFromMs !== null) {
      this.tally.measuredSeconds = (this.#clock.monotonicMs() - this.#measuredFromMs) / 1000;
      const { user, system } = process.cpuUsage(this.#cpuFrom);
      this.tally.cpuSeconds = (user + system) / 1e6;
    }
    return this.tally.wire();
  }

  // ---- SessionHost

  wallUs(): number {
    return this.#clock.wallUs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  answered(session: Session): void {
    this.#triedOnce(session);
    if (session.isSlow) this.#slow.add(session);
    this.#jitterLater(session);
  }

  gone(session: Session, asked: boolean): void {
    this.#slow.delete(session);
    this.#triedOnce(session);
    const { options } = this.#plan;
    if (this.#stopping || (!asked && !options.reconnect)) return;
    const full = Math.min(returnMsMax, returnMsFirst * 2 ** Math.min(session.failures, 10));
    const ms = asked ? (options.jitter?.downMs ?? 0) : full * (0.5 + Math.random() / 2);
    this.#later(ms, () => this.#connect(session));
  }

  // ---- what one timer does

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    const { count, connectRate } = this.#plan;
    const due = Math.min(count, Math.floor(((nowMs - this.#startMs) / 1000) * connectRate) + 1);
    while (this.#begun < due) this.#begin(this.#plan.first + this.#begun);
    this.#wheel.turn(nowMs);
    if (nowMs - this.#slowTickedMs >= slowTickMs) this.#readSlowly(nowMs);
    if (nowMs - this.#rssMs >= 1000) {
      this.#rssMs = nowMs;
      this.tally.bytes = Math.max(this.tally.bytes, process.memoryUsage.rss());
    }
  }

  #begin(index: number): void {
    const { options, localAddresses } = this.#plan;
    const place = this.#places.of(index);
    const address = localAddresses.length === 0 ? null : localAddresses[index % localAddresses.length]!;
    const feed = this.#feed(place, options.urls[index % options.urls.length]!);
    const session = new Session(this, index, place, address, feed, inShare(index, options.slowShare));
    this.#sessions.push(session);
    this.#begun += 1;
    this.#connect(session);
  }

  #feed({ plan }: Place, url: string): Feed {
    const { verify, dialect, byUrl } = this.#plan.options;
    const keepsBooks = plan.hasBook && (verify === "books" || (verify === "chains" && this.#isBooksTurn()));
    if (dialect === "native") return new NativeFeed(plan, this.checks, keepsBooks);
    const combined = isCombined(new URL(url));
    return new BinanceFeed(
      plan,
      { combined, byUrl, trust: trust(this.#plan.options), depthUrl: (symbol) => depthUrl(url, symbol) },
      this.checks,
      keepsBooks,
    );
  }

  #isBooksTurn(): boolean {
    return this.#withBooks++ % this.#bookEvery === 0;
  }

  #connect(session: Session): void {
    session.connect();
    const { attempts } = session;
    this.#later(connectMsMax, () => {
      session.giveUp(attempts, `no answer in ${connectMsMax / 1000} s`);
      this.#triedOnce(session);
    });
  }

  #later(ms: number, call: () => void): void {
    this.#wheel.at(this.#clock.monotonicMs() + ms, call);
  }

  #triedOnce(session: Session): void {
    if (session.isTried) return;
    session.isTried = true;
    this.#waiting -= 1;
    if (this.#waiting === 0) this.#allTried();
  }

  /** Each session has its own moment within the period, so that drops are spread. */
  #jitterLater(session: Session): void {
    const { jitter, jitterShare } = this.#plan.options;
    if (jitter === null || !inShare(session.index, jitterShare)) return;
    const { everyMs, downMs } = jitter;
    const upMs = session.attempts === 1 ? Math.random() * everyMs : everyMs - downMs;
    const { attempts } = session;
    this.#later(upMs, () => {
      if (session.attempts === attempts && session.isOpen) session.drop();
    });
  }

  #recheckLater(): void {
    this.#later(recheckMs, () => {
      for (const session of this.#sessions) if (session.isOpen) session.recheck();
      this.#recheckLater();
    });
  }

  #readSlowly(nowMs: number): void {
    const seconds = (nowMs - this.#slowTickedMs) / 1000;
    this.#slowTickedMs = nowMs;
    if (this.#slow.size === 0) return;
    const { slowRate } = this.#plan.options;
    if ("bytesPerSecond" in slowRate) this.#slow.tick(Math.min(seconds, 1), slowRate.bytesPerSecond);
    else this.#slow.tick(Math.min(seconds, 1), slowRate.share * this.#healthyRate(nowMs));
  }

  /** Bytes per second that a healthy session got in the last second. */
  #healthyRate(nowMs: number): number {
    const last = this.#lastRate;
    if (nowMs - last.ms < 1000) return last.perSession;
    let bytes = 0;
    let healthy = 0;
    for (const session of this.#sessions) {
      if (session.isSlow) continue;
      bytes += session.bytes;
      if (session.isOpen) healthy += 1;
    }
    const perSession = healthy === 0 || last.ms === 0 ? 0 : ((bytes - last.bytes) * 1000) / (nowMs - last.ms) / healthy;
    this.#lastRate = { ms: nowMs, bytes, perSession };
    return perSession;
  }
}

/** Evenly spread: of every 1 / share connections one. */
const inShare = (index: number, share: number): boolean => Math.floor((index + 1) * share) > Math.floor(index * share);
