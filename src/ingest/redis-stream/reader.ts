/**
 * A reader: one connection, one loop, many keys.
 *
 * On the path: Redis -> READER -> readings -> pipeline. Each round is one blocking XREAD over all keys whose sinks take
 * something; once a second XINFO goes right before it on the same connection, so that its answer fits our places exactly.
 * Invariants: a key that cannot be read (another type, no permission) harms no other; nothing is kept here between rounds:
 * what a sink does not take stays in Redis.
 * At the limit: an answer holds ENTRIES_MAX entries or BYTES_MAX or so, by what entries were large lately; a server that is ANSWER_MS_MAX late is hung, and the connection is
 * made again, for ever, with growing pauses of at most BACKOFF_MAX_MS.
 */
import { createBackoff } from "../../lib/backoff.ts";
import { type Clock, wallMs } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import { Outage } from "../../lib/outage.ts";
import type { RedisArgument } from "../../lib/redis.ts";
import type { BrokerState } from "../broker.ts";
import type { IngestLog } from "../sampled-log.ts";
import { sleep, turn } from "../wait.ts";
import { Wake } from "../wake.ts";
import { readStreamInfo, type StreamInfo } from "./info.ts";
import type { Reading } from "./reading.ts";
import { type Entry, readEntries } from "./values.ts";

/** What a reader needs of a connection to Redis. */
export interface StreamConnection {
  call(command: string, args: readonly RedisArgument[], msMax?: number): Promise<unknown>;
  callBytes(command: string, args: readonly RedisArgument[], msMax?: number): Promise<unknown>;
  close(): void;
}

export interface ReaderOptions {
  /** The data source, for the log. */
  readonly source: string;
  /** Entries of one key in an answer, at most. */
  readonly count: number;
  readonly connect: () => Promise<StreamConnection>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: IngestLog;
}

const BLOCK_MS = 250;
/** Above BLOCK_MS, and above what a slow server needs. */
const ANSWER_MS_MAX = 3000;
const ASK_MS = 1000;
/** Keys asked about in one round. */
const ASKED_MAX = 64;
const ENTRIES_MAX = 8192;
const BYTES_MAX = 8 * 1024 * 1024;
/** Taken for an entry's size before one was seen. */
const ENTRY_BYTES_FIRST = 16 * 1024;
const ENTRY_BYTES_MIN = 64;
/** So much less is read after an answer that did not come. */
const SHRINK = 8;
/** A round names all keys, whichever of them moved: with many of them rounds are fewer, and hold more. */
const KEYS_PER_MS = 50;
const ROUND_MS_MAX = 10;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 3000;
/** Rounds or answers in a row that may fail before the connection is given up. */
const FAILURES_MAX = 3;

export class Reader {
  readonly #options: ReaderOptions;
  readonly #readings = new Map<string, Reading>();
  readonly #wake = new Wake();
  readonly #abort = new AbortController();
  #state: BrokerState;
  #live: Promise<void> | null = null;
  #connection: StreamConnection | null = null;
  #connections = 0;
  #failures = 0;
  /** Mean size of an entry, of the last answers most. */
  #entryBytes = ENTRY_BYTES_FIRST;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#state = { name: "connecting", attempt: 1, retryAt: wallMs(options.clock), error: "" };
  }

  has(key: string): boolean {
    return this.#readings.has(key);
  }

  get size(): number {
    return this.#readings.size;
  }

  get state(): BrokerState {
    return this.#state;
  }

  get reconnects(): number {
    return Math.max(0, this.#connections - 1);
  }

  /** `reading.key` is not here yet. */
  add(reading: Reading): void {
    this.#readings.set(reading.key, reading);
    this.#wake.call();
    this.#live ??= this.#run();
  }

  remove(reading: Reading): void {
    reading.end();
    if (this.#readings.get(reading.key) === reading) this.#readings.delete(reading.key);
    this.#wake.call();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#wake.call();
    this.#connection?.close();
    await this.#live;
  }

  /** Until there is nothing left to read. */
  async #run(): Promise<void> {
    const { clock, random, source, log, connect } = this.#options;
    const backoff = createBackoff(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, random);
    const { signal } = this.#abort;
    const [away, back] = ["redis streams are not read", "redis streams are read again"];
    const outage = new Outage({ log, clock, away, back, fields: { source } });
    const worked = (): void => {
      backoff.reset();
      outage.worked();
    };
    while (!signal.aborted && this.#readings.size > 0) {
      try {
        const connection = await connect();
        this.#connection = connection;
        this.#connections++;
        this.#failures = 0;
        for (const reading of this.#readings.values()) reading.admitted = false;
        await this.#serve(connection, worked);
      } catch (error) {
        this.#connection?.close();
        if (signal.aborted) return;
        // Perhaps it was too much for a slow connection: less is asked for, until answers come.
        if (isCode(error, "REDIS_TIMEOUT")) this.#entryBytes = Math.min(BYTES_MAX, this.#entryBytes * SHRINK);
        const said = error instanceof Error ? error.message : String(error);
        const pauseMs = backoff.next();
        const retryAt = wallMs(clock) + Math.ceil(pauseMs);
        this.#state = { name: "connecting", attempt: backoff.attempts + 1, retryAt, error: said };
        outage.failed(error);
        await sleep(clock, pauseMs, signal);
      } finally {
        this.#connection?.close();
        this.#connection = null;
      }
    }
    // In one go with the last look at the readings: whoever is added from here on starts a loop of its own.
    this.#live = null;
  }

  /** Rounds on one connection. Rejects when it is to be given up. */
  async #serve(connection: StreamConnection, worked: () => void): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted && this.#readings.size > 0) {
      await this.#admitNew(connection);
      this.#state = { name: "connected" };
      const ready = [...this.#readings.values()].filter((one) => one.admitted && !one.isBusy(this.#wake.call));
      if (ready.length === 0) {
        const timer = clock.after(BLOCK_MS, this.#wake.call);
        await this.#wake.wait();
        timer.cancel();
        continue;
      }
      const endMs = clock.monotonicMs() + Math.min(ROUND_MS_MAX, ready.length / KEYS_PER_MS);
      await this.#round(connection, ready);
      worked();
      // Whatever Redis answers at once, everything else gets its turn.
      await turn();
      if (clock.monotonicMs() < endMs) await sleep(clock, endMs - clock.monotonicMs(), signal);
    }
  }

  /** Keys that are new on this connection, or could not be read a second ago. */
  async #admitNew(connection: StreamConnection): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    const all = [...this.#readings.values()].filter((one) => !one.admitted);
    const isDue = ({ trouble, askedMs }: Reading): boolean => trouble === null || nowMs - askedMs >= ASK_MS;
    await Promise.all(
      all.filter(isDue).map(async (reading) => {
        reading.askedMs = nowMs;
        try {
          reading.admit(await ask(connection, reading.key));
          // The first round compares its place.
          reading.askedMs = Number.NEGATIVE_INFINITY;
        } catch (error) {
          this.#trouble(reading, error);
        }
      }),
    );
  }

  /** What concerns one key is its own trouble; everything else is the connection's. */
  #trouble(reading: Reading, error: unknown): void {
    if (!isOfKey(error)) throw error;
    const { source, log } = this.#options;
    if (reading.trouble === null) {
      log.warn("a stream cannot be read: tried again every second", { source, key: reading.key, error: error.message });
    }
    reading.admitted = false;
    reading.trouble = `${reading.key}: ${error.message}`;
  }

  async #round(connection: StreamConnection, ready: readonly Reading[]): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    const due = ready.filter((one) => nowMs - one.askedMs >= ASK_MS);
    if (due.length > ASKED_MAX) due.sort((a, b) => a.askedMs - b.askedMs).length = ASKED_MAX;
    const entriesMax = Math.min(ENTRIES_MAX, BYTES_MAX / this.#entryBytes);
    const count = Math.min(this.#options.count, Math.max(1, Math.floor(entriesMax / ready.length)));
    const streams = [...ready.map(({ key }) => key), ...ready.map(({ id }) => id)];
    // Not awaited one by one: they are on their way in this order, and Redis answers in this order.
    const asked = due.map((one) => ask(connection, one.key));
    const read = connection.callBytes(
      "XREAD",
      ["COUNT", count, "BLOCK", BLOCK_MS, "STREAMS", ...streams],
      BLOCK_MS + ANSWER_MS_MAX,
    );
    const [answer, ...told] = await Promise.allSettled([read, ...asked]);
    const infos = new Map(due.map((one, at) => [one, told[at] as PromiseSettledResult<StreamInfo | null>]));
    for (const [one, result] of infos) {
      if (result.status === "rejected") this.#trouble(one, result.reason);
      else one.askedMs = nowMs;
    }
    if (answer.status === "rejected") return this.#failed(answer.reason, ready);
    this.#failures = 0;
    const entries = readEntries(answer.value);
    this.#weigh(entries);
    let silent: Reading | null = null;
    for (const one of ready) {
      const result = infos.get(one);
      if (result?.status === "rejected") continue;
      const list = entries.get(one.key) ?? [];
      if (!(await one.hand(result?.value, list, list.length < count))) silent = one;
    }
    if (silent !== null && silent.silent >= FAILURES_MAX) {
      throw new GatewayError("REDIS_SILENT", `${silent.key} has entries behind ${silent.id}, but reading gives none`);
    }
  }

  #weigh(entries: ReadonlyMap<string, readonly Entry[]>): void {
    let count = 0;
    let bytes = 0;
    for (const list of entries.values()) {
      for (const { fields } of list) for (const field of fields) bytes += field.length;
      count += list.length;
    }
    if (count > 0) this.#entryBytes = Math.max(ENTRY_BYTES_MIN, (this.#entryBytes + bytes / count) / 2);
  }

  /** One key of them cannot be read any more: all are looked at again. */
  #failed(error: unknown, ready: readonly Reading[]): void {
    if (!isOfKey(error) || ++this.#failures >= FAILURES_MAX) throw error;
    for (const one of ready) one.admitted = false;
  }
}

const isCode = (error: unknown, code: string): error is GatewayError =>
  error instanceof GatewayError && error.code === code;

const isOfKey = (error: unknown): error is GatewayError =>
  isCode(error, "REDIS_TYPE") || isCode(error, "REDIS_PERMISSION");

/** Null: there is no such key. */
async function ask(connection: StreamConnection, key: string): Promise<StreamInfo | null> {
  try {
    return readStreamInfo(await connection.call("XINFO", ["STREAM", key]));
  } catch (error) {
    if (error instanceof GatewayError && /no such key/i.test(error.message)) return null;
    throw error;
  }
}
