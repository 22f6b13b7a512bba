/**
 * The soak of jittery clients: CLIENTS native clients on book and trades, each without a connection for 1 s in every 5, for
 * SECONDS, through a network that cuts in the middle of frames; now and then a worker dies, and each network stands still
 * for 20 s once. In the end each must have had every trade exactly once and in order, and have the exact book.
 *
 * Prints one line; exit status 1 if anything was not exact or not recovered.
 */

import { Random } from "../../sim/random.ts";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { JitteryClient } from "../lib/jittery-client.ts";
import type { NativeStream } from "../lib/native-stream.ts";
import { optionsOf } from "../lib/options.ts";
import { waitFor } from "../lib/wait.ts";

const values = optionsOf(
  "npm run soak -- jitter [--clients 1000] [--seconds 120] [--kill-every 30] [--still-ms 20000] [--rate 150] [--seed 1]",
  {
    options: {
      seconds: { type: "string", default: "120" },
      clients: { type: "string", default: "1000" },
      seed: { type: "string", default: "1" },
      "kill-every": { type: "string", default: "30" },
      "still-ms": { type: "string", default: "20000" },
      // Updates a second of the simulated exchange: each client has a tenth of the spot half.
      rate: { type: "string", default: "150" },
    },
  },
);
const seconds = Number(values.seconds);
const count = Number(values.clients);
const seed = Number(values.seed);
const SYMBOLS = ["btcusdt", "ethusdt", "bnbusdt", "solusdt", "xrpusdt"];
const CADENCES = [250, 500, 1000] as const;
/** A client's connection lives so long, and is followed by a second without. */
const LIFE_MS = [3500, 4500] as const;
const AWAY_MS = 1000;

/** The ids of one symbol's trades, of which each client's are a part without holes. */
class Ledger {
  readonly ids: string[] = [];
  readonly #places = new Map<string, number>();

  add(stream: NativeStream): void {
    for (const { id } of stream.items.splice(0)) {
      this.#places.set(String(id), this.ids.length);
      this.ids.push(String(id));
    }
    forget(stream);
  }

  place(id: string): number | undefined {
    return this.#places.get(id);
  }
}

/** What one client has had of it so far. */
class Reader {
  readonly #ledger: Ledger;
  readonly #streamOf: () => NativeStream;
  #next: number | null = null;
  #items: string[] = [];
  fault = "";

  constructor(ledger: Ledger, streamOf: () => NativeStream) {
    this.#ledger = ledger;
    this.#streamOf = streamOf;
  }

  /** Compares what the ledger has as well; the rest stays for the next time. */
  check(): void {
    const stream = this.#streamOf();
    // Before its first position it may have to start over.
    if (stream.epoch === null) return;
    for (const { id } of stream.items.splice(0)) this.#items.push(String(id));
    forget(stream);
    let at = 0;
    for (; at < this.#items.length && this.fault === ""; at++) {
      const id = this.#items[at]!;
      this.#next ??= this.#ledger.place(id) ?? null;
      if (this.#next === null || this.#next >= this.#ledger.ids.length) break;
      if (this.#ledger.ids[this.#next] !== id)
        this.fault = `${stream.asked}: trade ${id} where ${this.#ledger.ids[this.#next]} should be`;
      this.#next++;
    }
    this.#items = this.#items.slice(at);
  }

  get checked(): boolean {
    return this.#next !== null && this.#items.length === 0;
  }
}

/** Streams remember every push; here only the last ones are needed. */
function forget(stream: NativeStream): void {
  if (stream.pushes.length > 4) stream.pushes.splice(0, stream.pushes.length - 4);
}

console.log(`${count} jittery clients, ${seconds} s (seed ${seed}) ...`);
const child = Bun.spawn(
  [
    process.execPath,
    "--max-http-header-size=131072",
    `${import.meta.dir}/jitter-node.ts`,
    JSON.stringify({ simRate: values.rate, ringBytes: "64MiB" }),
  ],
  { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
);
const ws = await firstLine(child.stdout);
const port = Number(new URL(ws).port);
const random = new Random(seed);
const names = SYMBOLS.flatMap((symbol) => [`${symbol}@depth`, `${symbol}@trade`]);
// A client that is not jittery, but comes back when its worker was killed.
const truth = new JitteryClient({ url: `${ws}/ws/quote/v1`, channels: names, awayMs: () => 50 });
await waitFor(
  () => SYMBOLS.every((symbol) => truth.stream(`${symbol}@trade`).items.length > 0),
  "first trades",
  60_000,
);

const proxies = await Promise.all(
  Array.from({ length: 4 }, (_, index) =>
    CuttingProxy.start({ port, seed: seed + index, lifeMsMin: LIFE_MS[0], lifeMsMax: LIFE_MS[1] }),
  ),
);
const ledgers = new Map(SYMBOLS.map((symbol) => [symbol, new Ledger()]));
const clients: { client: JitteryClient; symbol: string; reader: Reader; bookCompared: boolean }[] = [];
for (let index = 0; index < count; index++) {
  const symbol = SYMBOLS[index % SYMBOLS.length]!;
  const url = `ws://127.0.0.1:${proxies[index % proxies.length]!.port}/ws/quote/v1`;
  const cadence = CADENCES[index % CADENCES.length]!;
  const client = new JitteryClient({
    url,
    channels: [`${symbol}@depth`, `${symbol}@trade`],
    cadence,
    awayMs: () => AWAY_MS - 100 + random.below(200),
  });
  const reader = new Reader(ledgers.get(symbol)!, () => client.stream(`${symbol}@trade`));
  clients.push({ client, symbol, reader, bookCompared: false });
  if (index % 20 === 19) await Bun.sleep(20);
}

let kills = 0;
const begin = performance.now();
const killEveryMs = Number(values["kill-every"]) * 1000;
let stillAt = 0;
while (performance.now() - begin < seconds * 1000) {
  await Bun.sleep(250);
  check();
  const elapsed = performance.now() - begin;
  if (killEveryMs > 0 && elapsed > (kills + 1) * killEveryMs) {
    kills++;
    child.stdin.write("\n");
    child.stdin.flush();
  }
  // One network after the other stands still once.
  const still = Number(values["still-ms"]);
  if (still > 0 && stillAt < proxies.length && elapsed > (stillAt + 0.5) * (seconds * 250)) {
    const proxy = proxies[stillAt++]!;
    proxy.pause();
    setTimeout(() => proxy.resume(), still);
  }
}
for (const proxy of proxies) {
  proxy.resume();
  proxy.calm();
}
const faults: string[] = [];
// Each is compared at a moment when it stands where the one who stayed stands; until then all of them wait together.
let waiting = clients;
await waitFor(
  () => {
    check();
    waiting = waiting.filter((one) => !isCompared(one));
    return waiting.length === 0;
  },
  () => waiting.slice(0, 5).map(standing).join("; "),
  120_000,
);
for (const { client, reader } of clients) {
  faults.push(...client.faults);
  if (reader.fault !== "") faults.push(reader.fault);
}
faults.push(...truth.faults);
const sum = (pick: (client: JitteryClient) => number): number =>
  clients.reduce((all, { client }) => all + pick(client), 0);
const gaps = sum(
  (client) =>
    [...client.streams.values()].flatMap(({ notices }) => notices).filter(({ type }) => type === "gap").length,
);
const notRecovered = sum(({ notRecovered: times }) => times);
if (gaps + notRecovered > 0) faults.push(`${gaps} gaps, ${notRecovered} times not recovered`);
const closes: Record<number, number> = {};
for (const { client } of clients) for (const [code, times] of client.closes) closes[code] = (closes[code] ?? 0) + times;
console.log(
  `${sum(({ resumes }) => resumes)} times resumed, ${kills} workers killed, ${stillAt} networks stood still; ` +
    `closes ${JSON.stringify(closes)}; ${[...ledgers.values()].reduce((all, { ids }) => all + ids.length, 0)} trades`,
);
for (const fault of faults.slice(0, 20)) console.log(`  ${fault}`);
console.log(faults.length === 0 ? "\nevery trade once, every book exact" : `\n${faults.length} faults`);
await Promise.all([truth, ...clients.map(({ client }) => client)].map((client) => client.stop()));
for (const proxy of proxies) proxy[Symbol.dispose]();
child.stdin.end();
await child.exited;
process.exit(faults.length === 0 ? 0 : 1);

/** Its book was held against the right one, and all its trades. */
function isCompared(one: (typeof clients)[number]): boolean {
  const { client, symbol, reader } = one;
  if (!one.bookCompared) {
    const depth = client.stream(`${symbol}@depth`);
    const right = truth.stream(`${symbol}@depth`);
    if (depth.have !== right.have || depth.epoch !== right.epoch) return false;
    one.bookCompared = true;
    if (!Bun.deepEquals(depth.book.depth(), right.book.depth()))
      faults.push(`${symbol}: another book at ${depth.have}`);
  }
  return reader.checked || reader.fault !== "";
}

function standing({ client, symbol, bookCompared, reader }: (typeof clients)[number]): string {
  const { have } = client.stream(`${symbol}@depth`);
  const right = truth.stream(`${symbol}@depth`).have;
  return `${symbol}: book ${bookCompared ? "compared" : `at ${have}, who stayed at ${right}`}, trades ${reader.checked ? "compared" : "not yet"}`;
}

function check(): void {
  for (const [symbol, ledger] of ledgers) ledger.add(truth.stream(`${symbol}@trade`));
  for (const { reader, client } of clients) {
    reader.check();
    for (const stream of client.streams.values()) forget(stream);
  }
  for (const stream of truth.streams.values()) forget(stream);
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  throw new Error("the node did not start");
}
