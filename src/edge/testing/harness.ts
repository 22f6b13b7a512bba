/** Real workers on a free port with a scripted engine, and real WebSocket clients for the edge's tests. */
import { systemClock } from "../../lib/clock.ts";
import { type Log, silentLog } from "../../lib/log.ts";
import { DEFAULT_EDGE_CONFIG, type EdgeConfig, type EdgeLimits } from "../config.ts";
import { type Edge, startEdge } from "../supervisor.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

/** Settles when `condition` holds; rejects with `what` after 10 s. */
export async function until(condition: () => boolean, what: string | (() => string), ms = 10_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${typeof what === "string" ? what : what()}`);
    await Bun.sleep(2);
  }
}

/** A frame as an object; commands and pushes have these fields among others. */
export interface Frame {
  readonly id?: unknown;
  readonly ok?: boolean;
  readonly channel?: string;
  readonly channels?: Readonly<
    Record<string, { seq: number | null; epoch: string; cadence: number; recovered: boolean }>
  >;
  readonly error?: { readonly code: number; readonly message: string };
  readonly errors?: readonly { readonly channel: string; readonly code: number }[];
  readonly type?: string;
  readonly seq?: number | null;
  readonly prev?: number | null;
  readonly result?: unknown;
  readonly stream?: string;
  readonly data?: unknown;
  readonly ms?: number;
}

export class Client {
  readonly frames: Frame[] = [];
  readonly texts: string[] = [];
  readonly socket: WebSocket;
  closed: { readonly code: number; readonly reason: string } | null = null;

  constructor(url: string) {
    // Whose certificate it is, is asked where it matters.
    this.socket = new WebSocket(url, { tls: { rejectUnauthorized: false } });
    this.socket.onmessage = ({ data }) => {
      this.texts.push(String(data));
      this.frames.push(JSON.parse(String(data)) as Frame);
    };
    this.socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  async opened(): Promise<this> {
    await until(() => this.socket.readyState !== WebSocket.CONNECTING, "the client's socket opens");
    return this;
  }

  send(command: unknown): void {
    this.socket.send(typeof command === "string" ? command : JSON.stringify(command));
  }

  /** Sends a command with an id and waits for its reply. */
  async ask(command: Readonly<Record<string, unknown>> & { readonly id: unknown }): Promise<Frame> {
    this.send(command);
    await until(
      () => this.reply(command.id) !== undefined,
      () => `reply ${command.id} after ${this.texts.join(" | ")}`,
    );
    return this.reply(command.id)!;
  }

  reply(id: unknown): Frame | undefined {
    return this.frames.findLast((frame) => frame.id === id);
  }

  async until(condition: (client: this) => boolean, what = "the client got what it waits for"): Promise<void> {
    await until(
      () => condition(this),
      () => `${what}; it got ${this.texts.slice(-20).join(" | ")}`,
    );
  }

  /** Seqs of a channel's pushes in the order they came, snapshots included. */
  seqs(channel: string): (number | null | undefined)[] {
    return this.frames.filter((frame) => frame.channel === channel && frame.seq !== undefined).map(({ seq }) => seq);
  }

  async gone(): Promise<{ readonly code: number; readonly reason: string }> {
    await until(() => this.closed !== null, "the client's socket closes");
    return this.closed!;
  }
}

export interface Harness {
  readonly engine: ScriptedEngine;
  readonly edge: Edge;
  /** Connects to a path and waits until it is open. */
  client(path?: string): Promise<Client>;
  url(path: string): string;
  /** Stops worker 0 for about a second and settles when it has stopped, so that what is written now it reads later. */
  stall(): Promise<void>;
  stop(): Promise<void>;
}

export interface HarnessOptions {
  readonly channels?: readonly string[];
  readonly workers?: number;
  readonly ringBytes?: number;
  readonly limits?: Partial<EdgeLimits>;
  readonly config?: Partial<EdgeConfig>;
  readonly silentMsMax?: number;
  readonly log?: Log;
}

/** No limit on commands: for tests of something else. */
export const FREE: EdgeLimits["commands"] = {
  native: { is: "bucket", perSecond: 1e6, burst: 1e6, refusalsMax: 1 },
  binance: { spot: { is: "window", perSecond: 10_000 } },
};

export async function harness(options: HarnessOptions = {}): Promise<Harness> {
  const engine = new ScriptedEngine(options.channels ?? ["a@trade", "b@trade", "c@trade"], options.ringBytes);
  const limits: EdgeLimits = { ...DEFAULT_EDGE_CONFIG.limits, ...options.limits };
  const edge = await startEdge({
    config: { ...DEFAULT_EDGE_CONFIG, port: 0, ...options.config, limits },
    ring: engine.shared,
    readers: engine.ring,
    workers: options.workers ?? 1,
    clock: systemClock(),
    log: options.log ?? silentLog,
    onMessage: (worker, message) => engine.handle(worker, message),
    onWorkerGone: (worker) => engine.workerGone(worker),
    ...(options.silentMsMax === undefined ? {} : { silentMsMax: options.silentMsMax }),
  });
  engine.post = (worker, message) => edge.post(worker, message);
  const clients: Client[] = [];
  const url = (path: string) => `${options.config?.tls ? "wss" : "ws"}://127.0.0.1:${edge.port}${path}`;
  return {
    engine,
    edge,
    url,
    async stall() {
      edge.post(0, { is: "inject", fault: "stall", ms: 1000 });
      let beats = engine.ring.beats(0);
      let sinceMs = performance.now();
      // It beats every 100 ms while it lives.
      await until(() => {
        if (engine.ring.beats(0) !== beats) {
          beats = engine.ring.beats(0);
          sinceMs = performance.now();
        }
        return performance.now() - sinceMs > 250;
      }, "the worker stalls");
    },
    client(path = "/ws/quote/v1") {
      const client = new Client(url(path));
      clients.push(client);
      return client.opened();
    },
    async stop() {
      for (const { socket } of clients) socket.close();
      await edge.stop();
    },
  };
}
