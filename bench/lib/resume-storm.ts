/**
 * The clients of a resume storm, a program of its own: one session stays and remembers everything (the truth), then, when
 * stdin ends, CLIENTS come back within SPREAD seconds, each with `since` on several channels, each position its own.
 *
 * Prints {"event":"recording"}, {"event":"recorded"} (positions are to be had for all AWAY seconds), {"event":"result", ..}.
 * Invariant: what came is looked at closely only when the storm is over.
 */
import { parseArgs } from "node:util";
import { LeanSocket } from "./lean-socket.ts";
import { type Push, Truth } from "./resume-truth.ts";
import { type Came, verify } from "./resume-verify.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string" },
    clients: { type: "string", default: "5000" },
    symbols: { type: "string" },
    spread: { type: "string", default: "2" },
    away: { type: "string", default: "10" },
    cadence: { type: "string", default: "1000" },
    after: { type: "string", default: "2" },
  },
});
const symbols = values.symbols!.split(",");
const clients = Number(values.clients);
const PATH = "/ws/quote/v1";
const url = `ws://127.0.0.1:${values.port}${PATH}`;
const DECODER = new TextDecoder();
/** Two symbols each: book and trades of both. */
const SYMBOLS_EACH = 2;
const GIVE_UP_MS = 30_000;

class Client {
  readonly since: Record<string, { epoch: string; seq: number }> = {};
  readonly frames: Uint8Array[] = [];
  openMs = Number.NaN;
  /** When it had everything that the reply promised. */
  exactMs = Number.NaN;
  failure = "";
  readonly #names: readonly string[];
  readonly #startMs: number;
  readonly #socket: LeanSocket;
  /** Seq that each channel has to reach; null until the reply is here. */
  #goals: Map<string, number> | null = null;
  readonly #have = new Map<string, number>();

  constructor(names: readonly string[], stood: Truth, awaySinceMs: number) {
    this.#names = names;
    for (const name of names) {
      const position = stood.of(name).positionAt(awaySinceMs);
      if (position === null) throw new Error(`${name}: no position of that time`);
      this.since[name] = position;
      this.#have.set(name, position.seq);
    }
    this.#startMs = performance.now();
    this.#socket = new LeanSocket(Number(values.port), PATH, {
      open: () => {
        this.openMs = performance.now() - this.#startMs;
        const command = { id: 1, op: "subscribe", channels: names, since: this.since, cadence: Number(values.cadence) };
        this.#socket.send(JSON.stringify(command));
      },
      frame: (bytes) => this.#take(bytes),
      closed: (code) => {
        this.failure ||= `closed with ${code}`;
      },
    });
  }

  get done(): boolean {
    return this.failure !== "" || !Number.isNaN(this.exactMs);
  }

  close(): void {
    this.#socket.close();
  }

  came(): Came[] {
    const pushes = new Map<string, Push[]>(this.#names.map((name) => [name, []]));
    let recovered: Readonly<Record<string, { recovered: boolean }>> = {};
    for (const frame of this.frames) {
      const one = JSON.parse(DECODER.decode(frame));
      if (one.channels !== undefined) recovered = one.channels;
      else pushes.get(one.channel)!.push(one);
    }
    return this.#names.map((channel) => ({
      channel,
      since: this.since[channel]!,
      recovered: recovered[channel]?.recovered === true,
      pushes: pushes.get(channel)!,
    }));
  }

  #take(frame: Uint8Array): void {
    this.frames.push(frame);
    const start = DECODER.decode(frame.subarray(0, 200));
    if (start.startsWith('{"channel":"')) {
      const name = start.slice(12, start.indexOf('"', 12));
      const seq = /"seq":(\d+)/.exec(start)?.[1];
      if (seq !== undefined) this.#have.set(name, Number(seq));
    } else this.#replied(JSON.parse(DECODER.decode(frame)));
    if (this.done || this.#goals === null) return;
    for (const [name, goal] of this.#goals) if (this.#have.get(name)! < goal) return;
    this.exactMs = performance.now() - this.#startMs;
  }

  #replied({ ok, channels }: { ok: boolean; channels: Record<string, { seq: number }> }): void {
    if (!ok || Object.keys(channels).length !== this.#names.length) this.failure = "subscribe was refused";
    else this.#goals = new Map(Object.entries(channels).map(([name, { seq }]) => [name, seq]));
  }
}

const say = (event: object): void => console.log(JSON.stringify(event));
const names = symbols.flatMap((symbol) => [`${symbol}@depth`, `${symbol}@trade`]);
const truth = await Truth.follow(url, names, 0);
const stood = await Truth.follow(url, names, Number(values.cadence));
say({ event: "recording" });
await Bun.sleep(Number(values.away) * 1000 + 500);
say({ event: "recorded" });
for await (const _ of Bun.stdin.stream());
const cpu = process.cpuUsage();
const all = await storm();
const { user, system } = process.cpuUsage(cpu);
const clientCpuSeconds = (user + system) / 1e6;
await Bun.sleep(Number(values.after) * 1000);
const wall = performance.now();
for (const client of all) client.close();
// What the clients saw last, the one who stays must have seen too.
await Bun.sleep(500);
truth.close();
stood.close();
say({ event: "result", clientCpuSeconds, ...report(all), verifySeconds: (performance.now() - wall) / 1000 });
process.exit(0);

async function storm(): Promise<Client[]> {
  const begin = performance.now();
  const spreadMs = Number(values.spread) * 1000;
  const awayMs = Number(values.away) * 1000;
  const list: Client[] = [];
  for (let i = 0; i < clients; i++) {
    const dueMs = begin + (i / clients) * spreadMs;
    if (performance.now() < dueMs) await Bun.sleep(dueMs - performance.now());
    const own = Array.from({ length: SYMBOLS_EACH }, (_, k) => symbols[(i + k) % symbols.length]!);
    // Spread over the whole time, by a stride that visits all of it.
    const sinceMs = begin - awayMs * (((i * 7919) % clients) / clients);
    const mine = own.flatMap((symbol) => [`${symbol}@depth`, `${symbol}@trade`]);
    list.push(new Client(mine, stood, sinceMs));
  }
  const end = performance.now() + GIVE_UP_MS;
  while (list.some((client) => !client.done) && performance.now() < end) await Bun.sleep(10);
  return list;
}

function report(list: readonly Client[]): object {
  const came = new Map<string, Came[]>(names.map((name) => [name, []]));
  const faults = [...truth.faults, ...stood.faults];
  let bytes = 0;
  for (const client of list) {
    if (!client.done) client.failure = "not exact in 30 s";
    if (client.failure !== "") faults.push(client.failure);
    for (const frame of client.frames) bytes += frame.length;
    for (const one of client.came()) came.get(one.channel)!.push(one);
    client.frames.length = 0;
  }
  for (const [name, ones] of came) faults.push(...verify(ones, truth.of(name)));
  const exact = quantiles(list.map(({ exactMs }) => exactMs));
  const open = quantiles(list.map(({ openMs }) => openMs));
  return { clients: list.length, exact, open, bytes, faultCount: faults.length, faults: faults.slice(0, 10) };
}

function quantiles(values: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = values.filter((ms) => !Number.isNaN(ms)).sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
