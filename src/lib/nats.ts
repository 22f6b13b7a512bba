/**
 * A link to NATS: one connection at a time, made again for ever, with its state told in words.
 *
 * Beside the path: the bus and the NATS sources each hold one. The library's own reconnecting is off: it does not say why
 * it fails, and gives back a connection whose past is unclear. Here each connection lives until it breaks; whoever uses
 * the link subscribes again on the next one (`watch`).
 * Invariants: never two connections; what is wrong is in `state()` within seconds and tried again, it never throws; a
 * server that does not answer pings for 4.5 s is given up.
 * At the limit: attempts are 0.1 to 2 s apart, so that a server that is back is found within 2 s.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { createBackoff } from "./backoff.ts";
import { type Clock, wallMs } from "./clock.ts";
import { GatewayError } from "./errors.ts";
import type { Log } from "./log.ts";
import { hostPort, type NatsAddress, parseNatsAddress } from "./nats-address.ts";
import { connectNats, type NatsConnectOptions, PING_MS, PINGS_OUT_MAX } from "./nats-connect.ts";

export type { NatsSettings } from "./nats-connect.ts";

export interface NatsLinkOptions extends NatsConnectOptions {
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads attempts, picks the first server. */
  readonly random: () => number;
  readonly log: Pick<Log, "info" | "warn">;
  /** The longest pause between two attempts. Default 2000. */
  readonly retryMaxMs?: number;
}

export type NatsLinkState =
  | { readonly name: "connected"; readonly server: string }
  | {
      readonly name: "connecting";
      /** Attempts that failed since there was a connection. */
      readonly attempt: number;
      /** Wall clock in ms of the next attempt. */
      readonly retryAt: number;
      /** A sentence; '' before the first attempt ended. */
      readonly error: string;
      /** NATS_UNREACHABLE, NATS_PROTOCOL, NATS_AUTH, NATS_TLS, NATS_LOST, NATS_FILE; '' as `error`. */
      readonly code: string;
    }
  | { readonly name: "closed" };

export interface NatsWatcher {
  /** For the connection there is, inside `watch`, and for each later one. Subscribe here. */
  up(connection: NatsConnection): void;
  /** That connection is gone: nothing more comes on it. */
  down?(reason: string): void;
}

export interface NatsLinkCounters {
  /** Connections made after the first. */
  reconnects: number;
  /** Attempts that failed. */
  failures: number;
  /** Times the server cut us off because we did not read fast enough. */
  slowConsumer: number;
  /** Other errors the server told: permissions above all. */
  serverErrors: number;
}

export interface NatsLink {
  state(): NatsLinkState;
  /** Null while there is none. */
  readonly connection: NatsConnection | null;
  readonly counters: Readonly<NatsLinkCounters>;
  watch(watcher: NatsWatcher): { close(): void };
  /** The connection there is or the next one. Rejects with NATS_CLOSED when the link is closed, or `signal` aborts. */
  connected(signal?: AbortSignal): Promise<NatsConnection>;
  /** What is published is sent first if the server takes it within 1 s. */
  close(): Promise<void>;
}

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;
/** A connection that lived so long was a good one: attempts start from the shortest pause again. */
const GOOD_MS = 5000;
const CLOSE_MS_MAX = 1000;
const LAST_WORD_MS = 20;

/** Throws GatewayError NATS_ADDRESS; everything else is told in `state()`. */
export const openNats = (options: NatsLinkOptions): NatsLink => new Link(options);

class Link implements NatsLink {
  readonly counters: NatsLinkCounters = { reconnects: 0, failures: 0, slowConsumer: 0, serverErrors: 0 };
  readonly #options: NatsLinkOptions;
  readonly #addresses: readonly NatsAddress[];
  readonly #watchers = new Set<NatsWatcher>();
  readonly #closing = new AbortController();
  readonly #ended: Promise<void>;
  #connection: NatsConnection | null = null;
  #state: NatsLinkState;
  /** Which server comes next. */
  #turn: number;
  /** Said by the server itself, shortly before it hangs up. */
  #lastWord = "";

  constructor(options: NatsLinkOptions) {
    this.#options = options;
    this.#addresses = options.servers.map(parseNatsAddress);
    if (this.#addresses.length === 0)
      throw new GatewayError("NATS_ADDRESS", "no NATS server is named: give at least one");
    this.#turn = Math.floor(options.random() * this.#addresses.length);
    this.#state = { name: "connecting", attempt: 0, retryAt: wallMs(options.clock), error: "", code: "" };
    this.#ended = this.#live();
  }

  get connection(): NatsConnection | null {
    return this.#connection;
  }

  state(): NatsLinkState {
    return this.#state;
  }

  watch(watcher: NatsWatcher): { close(): void } {
    this.#watchers.add(watcher);
    if (this.#connection !== null) watcher.up(this.#connection);
    return { close: () => this.#watchers.delete(watcher) };
  }

  connected(signal?: AbortSignal): Promise<NatsConnection> {
    if (this.#connection !== null) return Promise.resolve(this.#connection);
    const closed = this.#closing.signal;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        watching.close();
        closed.removeEventListener("abort", refuse);
        signal?.removeEventListener("abort", refuse);
      };
      const refuse = (): void => {
        end();
        reject(new GatewayError("NATS_CLOSED", "the connection to NATS is closed"));
      };
      const watching = this.watch({
        up(connection) {
          end();
          resolve(connection);
        },
      });
      closed.addEventListener("abort", refuse);
      signal?.addEventListener("abort", refuse);
      if (closed.aborted || signal?.aborted === true) refuse();
    });
  }

  close(): Promise<void> {
    if (!this.#closing.signal.aborted) this.#closing.abort();
    return this.#ended;
  }

  /** One loop owns the connection. */
  async #live(): Promise<void> {
    const { clock, log, random } = this.#options;
    const { signal } = this.#closing;
    const backoff = createBackoff(RETRY_MIN_MS, this.#options.retryMaxMs ?? RETRY_MAX_MS, random);
    let attempt = 0;
    let connects = 0;
    const failed = (error: GatewayError, pause: number): void => {
      attempt++;
      const { code, message } = error;
      this.#state = { name: "connecting", attempt, retryAt: wallMs(clock) + Math.ceil(pause), error: message, code };
    };
    while (!signal.aborted) {
      let error: GatewayError;
      try {
        const address = this.#addresses[this.#turn++ % this.#addresses.length] as NatsAddress;
        const server = hostPort(address.host, address.port);
        const connection = await connectNats(address, this.#options, signal);
        const since = clock.monotonicMs();
        attempt = 0;
        if (++connects > 1) this.counters.reconnects++;
        log.info("connected to NATS", { server });
        const reason = await this.#serve(connection, server);
        if (clock.monotonicMs() - since > GOOD_MS) backoff.reset();
        error = new GatewayError("NATS_LOST", `the connection to ${server} was lost: ${reason}`);
      } catch (cause) {
        error = cause instanceof GatewayError ? cause : new GatewayError("NATS_PROTOCOL", String(cause), { cause });
        this.counters.failures++;
      }
      if (signal.aborted) break;
      const pause = backoff.next();
      if (attempt === 0 || this.#errorCode() !== error.code)
        log.warn("no connection to NATS", { error: error.message });
      failed(error, pause);
      await this.#pause(pause);
    }
    this.#state = { name: "closed" };
  }

  #errorCode(): string {
    return this.#state.name === "connecting" ? this.#state.code : "";
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.#options.clock.after(ms, done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }

  /** Until the connection is gone; returns why. */
  async #serve(connection: NatsConnection, server: string): Promise<string> {
    const { signal } = this.#closing;
    this.#lastWord = "";
    const listening = this.#listen(connection);
    const stop = (): void => void this.#farewell(connection);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    else this.#announce(connection, server);
    const error = await connection.closed();
    // What the server said last is on its way to us through a queue of its own.
    await Promise.race([listening, this.#pause(LAST_WORD_MS)]);
    signal.removeEventListener("abort", stop);
    const reason =
      this.#lastWord ||
      (error instanceof Error && error.message) ||
      (signal.aborted ? "closed" : "the server closed it");
    if (this.#connection !== null) {
      this.#connection = null;
      for (const watcher of [...this.#watchers]) watcher.down?.(reason);
    }
    return reason;
  }

  #announce(connection: NatsConnection, server: string): void {
    this.#connection = connection;
    this.#state = { name: "connected", server };
    try {
      for (const watcher of [...this.#watchers]) watcher.up(connection);
    } catch (error) {
      // It broke already while they subscribed.
      this.#lastWord = error instanceof Error ? error.message : String(error);
      void connection.close();
    }
  }

  async #farewell(connection: NatsConnection): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(CLOSE_MS_MAX, late.resolve);
    await Promise.race([connection.flush().catch(() => undefined), late.promise]);
    timer.cancel();
    await connection.close();
  }

  /** What the server and the library tell. Ends with the connection. */
  async #listen(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === "staleConnection") {
        const { pingMs = PING_MS, pingsOutMax = PINGS_OUT_MAX } = this.#options;
        this.#lastWord = `no answer for ${(pingMs * (pingsOutMax + 1)) / 1000} s`;
        // The library would first wait until the server has taken all that was written.
        void connection.close();
      } else if (status.type === "error") this.#told(status.error);
    }
  }

  #told(error: Error): void {
    this.#lastWord = error.message;
    if (/slow consumer/i.test(error.message)) this.counters.slowConsumer++;
    else this.counters.serverErrors++;
    this.#options.log.warn("NATS server says", { error: error.message });
  }
}
