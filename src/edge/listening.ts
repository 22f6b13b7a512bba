/**
 * The listeners of one worker: the one that takes new connections, and old ones whose sessions are still there.
 *
 * A certificate is changed under running sessions by a second listener on the same port: Bun keeps the old certificate
 * for as long as its listener lives, so the new one accepts, the old one stops accepting, and what is published goes to
 * both until the old one is empty.
 * Invariants: exactly one listener takes new connections until the drain; with one listener publishing takes no detour;
 * a listener that cannot be opened changes nothing.
 * At the limit: over OLD_MAX old listeners the oldest one's sessions are drained, then its other connections end. While the node drains, a WebSocket is
 * refused 503 (listener.ts); where the port is shared, the listener stops instead, so that the kernel gives new
 * connections to the other program.
 */
import type { Clock } from "../lib/clock.ts";
import { wallMs } from "../lib/clock.ts";
import { ERRORS } from "../protocol/codes.ts";
import type { EdgeConfig, TlsPair } from "./config.ts";
import type { Counters } from "./counters.ts";
import { Drain } from "./drain.ts";
import type { Broadcaster, Hub } from "./hub.ts";
import { type Listener, type ListenerPorts, listen } from "./listener.ts";
import type { Session } from "./session/session.ts";

/** Old listeners of a worker. Each costs one more look-up per publication. */
export const OLD_MAX = 3;

/** How long a drain waits for the outboxes of closed sessions: as long as it took, within these. */
const PARTING_MS_MIN = 1000;
const PARTING_MS_MAX = 5000;
const PARTING_STEP_MS = 20;
/** For clients of a drained listener to answer the close. */
const LINGER_MS = 1000;

const STOPPING = "the node is stopping";
const RENEWED = "the certificate was renewed";

export interface ListeningParts {
  readonly hub: Hub;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly random: () => number;
  /** Closed sessions whose outbox is still being sent: they end by themselves within a bounded time. */
  readonly parting: { readonly size: number };
  /** The drain has come a step further. */
  readonly progress: () => void;
  /** No session is left, and none will come. */
  readonly drained: () => void;
}

export class Listening {
  readonly #config: EdgeConfig;
  readonly #ports: ListenerPorts;
  readonly #parts: ListeningParts;
  #current: Listener;
  /** Oldest first. */
  #old: Listener[] = [];
  #nextId = 1;
  #draining = false;

  constructor(config: EdgeConfig, ports: Omit<ListenerPorts, "draining">, parts: ListeningParts) {
    this.#config = config;
    this.#ports = { ...ports, draining: () => this.#turnsAway() };
    this.#parts = parts;
    this.#current = this.#open(config);
    this.#publishThroughAll();
  }

  get port(): number {
    return this.#current.port;
  }

  get blind(): string | null {
    return this.#current.blind;
  }

  /** Throws what the operating system or the TLS library refuses; the listener there was goes on. */
  renew(tls: TlsPair, drainMs: number): void {
    if (this.#draining) return;
    const old = this.#current;
    this.#current = this.#open({ ...this.#config, port: old.port, tls });
    this.#old.push(old);
    this.#publishThroughAll();
    old.stop().then(() => {
      this.#old = this.#old.filter((one) => one !== old);
      this.#publishThroughAll();
    });
    if (this.#old.length > OLD_MAX) this.#empty(this.#old[this.#old.length - 1 - OLD_MAX]!, drainMs);
  }

  /** Tells everybody, refuses whoever comes, closes all within about `ms`. */
  drain(ms: number): void {
    if (this.#draining) return;
    this.#draining = true;
    if (this.#config.sharePort) void this.#current.stop();
    const { hub, clock } = this.#parts;
    let drain = this.#drainOf(hub.sessions, ms, STOPPING);
    const step = (): void => {
      const waitMs = drain.step();
      this.#parts.progress();
      if (hub.sessions.length === 0) {
        this.#part(clock.monotonicMs() + Math.min(PARTING_MS_MAX, Math.max(PARTING_MS_MIN, ms)));
        return;
      }
      // Whoever opened while the drain began.
      if (drain.done) drain = this.#drainOf(hub.sessions, 0, STOPPING);
      clock.after(waitMs, step);
    };
    step();
  }

  stop(): void {
    void this.#current.stop();
  }

  /** Nobody is left: waits until what the last ones had not taken is sent, but not longer than that. */
  #part(untilMs: number): void {
    const { parting, clock, drained } = this.#parts;
    if (parting.size === 0 || clock.monotonicMs() > untilMs) drained();
    else clock.after(PARTING_STEP_MS, () => this.#part(untilMs));
  }

  #turnsAway(): boolean {
    if (this.#draining) this.#parts.counters.error(ERRORS.NODE_DRAINING.code);
    return this.#draining;
  }

  #open(config: EdgeConfig): Listener {
    return listen(config, this.#ports, this.#nextId++);
  }

  #publishThroughAll(): void {
    this.#parts.hub.publishThrough(this.#old.length === 0 ? this.#current : several([this.#current, ...this.#old]));
  }

  #empty(old: Listener, ms: number): void {
    const sessions = this.#parts.hub.sessions.filter(({ listener }) => listener === old.id);
    this.#parts.counters.limited("oldListeners", sessions.length);
    const drain = this.#drainOf(sessions, ms, RENEWED);
    const step = (): void => {
      const waitMs = drain.step();
      if (drain.done) this.#parts.clock.after(LINGER_MS, () => old.end());
      else this.#parts.clock.after(waitMs, step);
    };
    step();
  }

  #drainOf(sessions: readonly Session[], ms: number, reason: string): Drain {
    const { counters, clock, random } = this.#parts;
    const nowMs = (): number => clock.monotonicMs();
    return new Drain(sessions, ms, reason, { counters, nowMs, wallMs: () => wallMs(clock), random });
  }
}

/** Each socket hears only the listener that accepted it. */
export function several(all: readonly Broadcaster[]): Broadcaster {
  return {
    publish(name, text) {
      let result = 0;
      for (const one of all) {
        const sent = one.publish(name, text);
        if (sent > 0 || result === 0) result = sent;
      }
      return result;
    },
  };
}
