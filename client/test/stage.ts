/** A client whose sockets, clock and chance are the test's. */
import { type Client, type ClientEvents, type ConnectOptions, connect, type SocketLike } from "../src/mod.ts";

export type Frame = Readonly<Record<string, unknown>>;

/** A socket that does what the test says. */
export class FakeSocket implements SocketLike {
  readonly url: string;
  readyState = 0;
  onopen: unknown = null;
  onmessage: unknown = null;
  onerror: unknown = null;
  onclose: unknown = null;
  /** What the client sent, pings left out. */
  readonly commands: Frame[] = [];
  pings = 0;
  /** How the client closed it; null: it did not. */
  closed: { readonly code: number | undefined } | null = null;

  constructor(url: string) {
    this.url = url;
  }

  send(text: string): void {
    const command = JSON.parse(text) as Frame;
    if (command.op === "ping") this.pings += 1;
    else this.commands.push(command);
  }

  close(code?: number): void {
    this.closed = { code };
    this.readyState = 3;
  }

  opens(): void {
    this.readyState = 1;
    call(this.onopen, {});
  }

  says(...frames: (Frame | string)[]): void {
    for (const frame of frames)
      call(this.onmessage, { data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  /** The other side closes it, or it is lost (1006). */
  ends(code: number, reason = ""): void {
    this.readyState = 3;
    call(this.onclose, { code, reason });
  }

  get last(): Frame {
    return this.commands.at(-1) ?? {};
  }
}

function call(handler: unknown, event: unknown): void {
  if (typeof handler === "function") handler(event);
}

/** A clock that moves only when told; timers run in the order they fall due. */
class FakeClock {
  #nowMs = 1000;
  #timers: { readonly dueMs: number; readonly call: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { dueMs: this.#nowMs + Math.max(0, ms), call: run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get pending(): number {
    return this.#timers.length;
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await settled();
      const [first] = this.#timers.filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs);
      if (first === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== first);
      this.#nowMs = Math.max(this.#nowMs, first.dueMs);
      first.call();
    }
    this.#nowMs = endMs;
  }
}

/** Lets everything that waits only for promises run. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class Stage {
  readonly client: Client;
  readonly sockets: FakeSocket[] = [];
  readonly clock = new FakeClock();
  /** Every event in order, as one line each. */
  readonly seen: string[] = [];
  /** What `random` gives. */
  chance = 1;

  constructor(options: ConnectOptions = {}) {
    const { sockets } = this;
    const made = class extends FakeSocket {
      constructor(url: string) {
        super(url);
        sockets.push(this);
      }
    };
    this.client = connect("ws://node", { WebSocket: made, clock: this.clock, random: () => this.chance, ...options });
    const note = <Name extends keyof ClientEvents>(name: Name, text: (event: ClientEvents[Name]) => string): void => {
      this.client.on(name, (event) => this.seen.push(text(event)));
    };
    note("connected", ({ again }) => (again ? "connected again" : "connected"));
    note("lost", ({ code, retryMs, first }) => `lost ${code}, again in ${retryMs}${first ? ", first" : ""}`);
    note("drain", ({ afterMs, moveMs }) => `drain ${afterMs}, move ${moveMs}`);
    note("odd", ({ frame }) => `odd ${frame}`);
    note("running", ({ channel, seq }) => `${channel} running ${seq}`);
    note("refused", ({ channel, error }) => `${channel} refused ${error.code}`);
    note("delayed", ({ channel, error, retryMs }) => `${channel} delayed ${error.code} ${retryMs}`);
    note("gap", ({ channel, from, to, missed, reason }) => `${channel} gap ${from}-${to} ${missed} ${reason}`);
    note("stale", ({ channel, reason }) => `${channel} stale ${reason}`);
    note("fresh", ({ channel }) => `${channel} fresh`);
    note("epoch", ({ channel, epoch, previous }) => `${channel} epoch ${previous} -> ${epoch}`);
    note("cadence", ({ channel, ms, reason }) => `${channel} cadence ${ms} ${reason}`);
    note("broken", ({ channel, reason }) => `${channel} broken ${reason}`);
    note("push", ({ push, restart }) => {
      const seq = "seq" in push ? ` ${push.seq}` : "";
      return `${push.channel} ${push.type}${seq}${restart ? " restart" : ""}`;
    });
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("no socket was made");
    return socket;
  }

  /** Lets the commands go out that this turn has asked for. */
  async flush(): Promise<FakeSocket> {
    await settled();
    return this.socket;
  }

  /** What was seen since the last call. */
  news(): string[] {
    return this.seen.splice(0);
  }
}

const at = { time: 1, sentUs: 1 };
export type Levels = readonly (readonly [string, string])[];

export const DEPTH = "b@depth";
export const TRADE = "b@trade";

export const snapshot = (seq: number, bids: Levels = [], asks: Levels = [], more: Frame = {}): Frame => ({
  ...{ channel: DEPTH, type: "snapshot", epoch: "k1", seq, ...at, data: { bids, asks } },
  ...more,
});
export const delta = (prev: number, seq: number, bids: Levels = [], asks: Levels = []): Frame => ({
  ...{ channel: DEPTH, type: "delta", prev, from: prev + 1, seq, ...at, data: { bids, asks } },
});
export const items = (prev: number | null, seq: number, data: readonly unknown[] = [seq], channel = TRADE): Frame => ({
  ...{ channel, type: "items", prev, seq, ...at, data },
});
export const value = (prev: number | null, seq: number, data: unknown, channel = "b@ticker"): Frame => ({
  ...{ channel, type: "value", prev, seq, ...at, data },
});
export const gap = (from: number, to: number, missed: number | null, reason: string, more: Frame = {}): Frame => ({
  ...{ channel: TRADE, type: "gap", missed, from, to, reason },
  ...more,
});
/** The reply to a subscribe or a resync. */
export const reply = (
  id: unknown,
  channels: Readonly<Record<string, number | null>>,
  { epoch = "k1", recovered = false, cadence = 0 } = {},
): Frame => ({
  id,
  ok: true,
  channels: Object.fromEntries(
    Object.entries(channels).map(([name, seq]) => [name, { epoch, seq, cadence, recovered }]),
  ),
});
