/**
 * An edge worker inside the world: the real parts put together as src/edge/worker.ts does, with a fake server, the world's
 * clock, and a pump that reads only when the world says so.
 */

import { TopicSettings } from "../../src/channel/topic-settings.ts";
import type { EdgeConfig } from "../../src/edge/config.ts";
import { Counters } from "../../src/edge/counters.ts";
import { Controls } from "../../src/edge/delivery/control.ts";
import { LeavingOut } from "../../src/edge/delivery/left-out.ts";
import { Outboxes } from "../../src/edge/delivery/outboxes.ts";
import { Records } from "../../src/edge/delivery/records.ts";
import { Repair } from "../../src/edge/delivery/repair.ts";
import { type OnSlow, Slow } from "../../src/edge/delivery/slow.ts";
import { Hub } from "../../src/edge/hub.ts";
import { Requests } from "../../src/edge/requests.ts";
import { Routes } from "../../src/edge/routes.ts";
import { Commands } from "../../src/edge/session/commands.ts";
import { Heartbeat, SWEEP_MS } from "../../src/edge/session/heartbeat.ts";
import { Joining } from "../../src/edge/session/joins.ts";
import { Lifecycle } from "../../src/edge/session/lifecycle.ts";
import { Moves } from "../../src/edge/session/moves.ts";
import { close, Session, type Socket } from "../../src/edge/session/session.ts";
import type { Clock, Timer } from "../../src/lib/clock.ts";
import { binance } from "../../src/protocol/binance/mod.ts";
import { CLOSES } from "../../src/protocol/codes.ts";
import { native } from "../../src/protocol/native/mod.ts";
import type { EdgeToMain } from "../../src/ring/messages.ts";
import { createRingReader, type RingReader } from "../../src/ring/mod.ts";
import { FakeServer, FakeSocket, type Peer } from "./fake-server.ts";

/** What `process.exit` is in a thread: nothing after it runs. */
class Exit extends Error {}

export interface WorkerOptions {
  readonly config: EdgeConfig;
  readonly ring: SharedArrayBuffer;
  readonly outboxes: SharedArrayBuffer;
  readonly onSlow: OnSlow;
  readonly worker: number;
  readonly generation: number;
  readonly clock: Clock;
  readonly post: (message: EdgeToMain) => void;
  /** A client's frame brought out a fault. */
  readonly failed: (error: unknown) => void;
}

export interface Connection {
  readonly socket: FakeSocket;
  /** The client sends a text frame. */
  send(frame: string): void;
}

export class TestWorker {
  readonly counters = new Counters();
  readonly hub: Hub;
  readonly server = new FakeServer();
  readonly #options: WorkerOptions;
  readonly #reader: RingReader;
  readonly #records: Records;
  readonly #repair: Repair;
  readonly #lifecycle: Lifecycle;
  readonly #routes: Routes;
  readonly #sockets = new Set<FakeSocket>();
  #sweep: Timer;
  #dead = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { config, ring, worker, generation, clock, post } = options;
    const { limits } = config;
    const nowMs = () => clock.monotonicMs();
    const dialects = { native, binance };
    this.#reader = createRingReader(ring, worker, { startAt: "tail" });
    const { counters } = this;
    const hub = new Hub(counters, dialects, post);
    this.hub = hub;
    const requests = new Requests(post, nowMs, limits.askAgainMs, generation);
    const moves = new Moves(hub, requests, counters);
    const joining = new Joining(hub, requests, counters, limits, moves, nowMs);
    const commands = new Commands(hub, joining, moves, counters, limits, new TopicSettings([], "spot"));
    this.#lifecycle = new Lifecycle(hub, commands, joining, counters, limits, nowMs, options.failed);
    const slow = new Slow({
      hub,
      moves,
      leavingOut: new LeavingOut(hub, requests, counters, limits),
      lingering: this.#lifecycle.lingering,
      outboxes: new Outboxes(options.outboxes, worker, limits.outboxBytesNodeMax),
      counters,
      limits,
      nowMs,
      onSlow: () => options.onSlow,
    });
    const heartbeat = new Heartbeat(hub, counters, limits, { look: () => undefined });
    const controls = new Controls(hub);
    const giveUp = (): never => {
      for (const session of [...hub.sessions]) close(session, CLOSES.GOING_AWAY.code, CLOSES.GOING_AWAY.message);
      throw new Exit();
    };
    this.#repair = new Repair({ hub, requests, joining, moves, controls, counters, giveUp });
    this.#records = new Records({ hub, requests, joining, moves, controls, repair: this.#repair, counters });
    this.#routes = new Routes(config.endpoints, config.rest, dialects);
    hub.publishThrough(this.server);
    const sweep = (): void => {
      heartbeat.sweep(nowMs());
      slow.sweep();
      joining.sweep();
      requests.askAgain();
      this.#sweep = clock.after(SWEEP_MS, sweep);
    };
    this.#sweep = clock.after(SWEEP_MS, sweep);
  }

  /** Reads at most `max` records. False: the worker has given itself up. */
  pump(max: number): boolean {
    try {
      for (let taken = 0; taken < max; taken++) {
        const record = this.#reader.read();
        if (record === null) break;
        if (record === "lapped") this.#repair.lapped();
        else this.#records.take(record);
      }
      this.#records.end();
      return true;
    } catch (error) {
      if (error instanceof Exit) return false;
      throw error;
    }
  }

  connect(url: string, peer: Peer): Connection {
    const { clock, config } = this.#options;
    const { pathname, searchParams } = new URL(url, "http://world");
    const route = this.#routes.match(pathname);
    if (route?.is !== "ws") throw new Error(`no endpoint ${url}`);
    const door = this.#routes.open(route.endpoint, pathname, searchParams);
    if (typeof door === "string") throw new Error(door);
    const session = new Session(door.wire, door.streams, clock.monotonicMs());
    const socket = new FakeSocket(this.server, peer, clock, config.limits.outboxBytesMax);
    this.#sockets.add(socket);
    socket.opened({
      drain: () => this.#lifecycle.drained(session),
      close: (code, reason) => {
        this.#sockets.delete(socket);
        this.#lifecycle.closed(session, code, reason);
      },
    });
    this.#lifecycle.opened(session, socket as unknown as Socket);
    return {
      socket,
      send: (frame) => {
        if (!this.#dead && socket.alive) this.#lifecycle.frame(session, frame);
      },
    };
  }

  get sessions(): number {
    return this.hub.sessions.length;
  }

  /** The thread ends; its clients see their connections go. */
  end(code: number): void {
    this.#dead = true;
    this.#sweep.cancel();
    for (const socket of [...this.#sockets]) socket.vanish(code);
    this.#sockets.clear();
  }
}
