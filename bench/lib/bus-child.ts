/**
 * Child of bench/bus.ts: one end of a bus, or both, or only the load. Prints `begin`, `end` and one JSON line.
 *
 *     bun bench/lib/bus-child.ts bare|both|owner|receiver memory|nats|jetstream SERVER RATE SECONDS LINGER_MS
 *
 * Publications are trades and depth updates of 50 symbols, each on a topic of its own. Latency is from the call of
 * `publish` to the receiver's call, both by clocks of one machine.
 */

import { Histogram } from "../../load/histogram.ts";
import { BUS_VERSION, type Bus, type BusMessage } from "../../src/bus/bus.ts";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { createNatsBus, type NatsBus } from "../../src/bus/nats/mod.ts";
import type { Publication } from "../../src/channel/types.ts";
import { silentLog } from "../../src/lib/log.ts";

export interface BusMeasured {
  readonly publications: number;
  readonly cpuUs: number;
  /** Of a receiver. */
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  /** Publications whose `prev` was not what came before. */
  readonly breaks: number;
  /** Messages sent or received. */
  readonly messages: number;
  readonly bytes: number;
}

const SYMBOLS = 50;
const TICK_MS = 1;
const WARM_MS = 1500;
const CONTROL = "bench.control";

const [role, kind, server, rateText, secondsText, lingerText] = process.argv.slice(2) as [
  ...[string, string, string, string, string, string],
];
const [rate, seconds] = [Number(rateText), Number(secondsText)];
const nowUs = (): number => Math.floor((performance.timeOrigin + performance.now()) * 1000);
const header = { version: BUS_VERSION, shard: "bench/0", token: 1, epoch: "bench" };
const topics = Array.from({ length: SYMBOLS }, (_, i) => (i % 2 === 0 ? `symbol${i}@trade` : `symbol${i}@depth`));

const isNats = (bus: Bus): bus is NatsBus => "link" in bus;

async function openBus(): Promise<Bus | null> {
  if (role === "bare") return null;
  if (kind === "memory") return createMemoryBus();
  const bus = createNatsBus({
    nats: { servers: [server] },
    kind: kind === "jetstream" ? "jetstream" : "nats",
    stream: { maxAgeSeconds: 60, maxBytes: 256 * 1024 * 1024, storage: "memory", replicas: 1 },
    cluster: "bench",
    name: role,
    log: silentLog,
    lingerMs: Number(lingerText),
  });
  await bus.link.connected();
  return bus;
}

class Window {
  readonly histogram = new Histogram();
  publications = 0;
  breaks = 0;
  #cpu = process.cpuUsage();
  #messages = 0;
  #bytes = 0;

  begin(bus: Bus | null): void {
    this.histogram.clear();
    this.publications = 0;
    this.#cpu = process.cpuUsage();
    [this.#messages, this.#bytes] = traffic(bus);
  }

  end(bus: Bus | null): BusMeasured {
    const { user, system } = process.cpuUsage(this.#cpu);
    const [messages, bytes] = traffic(bus);
    const at = (share: number): number => this.histogram.percentile(share) ?? 0;
    return {
      ...{ publications: this.publications, cpuUs: user + system, breaks: this.breaks },
      ...{ p50Us: at(0.5), p99Us: at(0.99), maxUs: at(1) },
      ...{ messages: messages - this.#messages, bytes: bytes - this.#bytes },
    };
  }
}

function traffic(bus: Bus | null): [messages: number, bytes: number] {
  if (bus === null || !isNats(bus)) return [0, 0];
  const { messagesIn, messagesOut, bytesIn, bytesOut } = bus.status().counters;
  return role === "owner" ? [messagesOut, bytesOut] : [messagesIn, bytesIn];
}

/** Settles with what was measured between the owner's words. */
function receive(bus: Bus): Promise<BusMeasured> {
  const window = new Window();
  const last = new Map<string, number>();
  const take = ({ publications }: BusMessage): void => {
    const now = nowUs();
    for (const p of publications) {
      if (p.prev !== null && last.get(p.channel) !== p.prev) window.breaks++;
      last.set(p.channel, p.seq);
      window.publications++;
      window.histogram.add(now - p.receivedUs);
    }
  };
  for (const topic of topics) bus.subscribe(topic, take);
  return new Promise((resolve) => {
    bus.subscribe(CONTROL, ({ publications: [word] }) => {
      if (word?.type !== "value" || !("json" in word.data)) return;
      if (word.data.json === '"begin"') window.begin(bus);
      else resolve(window.end(bus));
    });
  });
}

class Load {
  published = 0;
  readonly #last = new Map<string, number>();
  readonly #bus: Bus | null;
  #seq = 13_000_000_000_000;

  constructor(bus: Bus | null) {
    this.#bus = bus;
  }

  say(word: string): void {
    this.#publish(CONTROL, { kind: "json", type: "value", data: { json: JSON.stringify(word) } });
  }

  next(): void {
    const n = this.published++;
    const topic = topics[n % SYMBOLS]!;
    const price = (60_000 + (n % 1000) / 100).toFixed(2);
    const time = Date.now();
    if (topic.endsWith("trade")) {
      const trade = { id: String(n), t: n, price, quantity: "0.01500000", side: "buy" as const, time };
      this.#publish(topic, { kind: "trade", type: "items", data: [trade] });
      return;
    }
    const side = (from: number) =>
      Array.from({ length: 4 }, (_, i): [string, string] => [`${from + i}.10`, `${n % 9}.5`]);
    this.#publish(topic, { kind: "depth", type: "delta", data: { bids: side(59_990), asks: side(60_010) } });
  }

  #publish(topic: string, body: Pick<Publication, "kind" | "type" | "data">): void {
    const seq = this.#seq++;
    const prev = this.#last.get(topic) ?? null;
    this.#last.set(topic, seq);
    const receivedUs = nowUs();
    const publication = { ...body, channel: topic, user: "", time: Date.now(), seq, prev, receivedUs } as Publication;
    this.#bus?.publish(header, topic, publication);
  }

  /** At an even rate; what a late tick missed is made up for. */
  async run(ms: number): Promise<void> {
    const start = performance.now();
    const before = this.published;
    for (let elapsed = 0; elapsed < ms; elapsed = performance.now() - start) {
      const due = Math.floor((Math.min(elapsed, ms) / 1000) * rate);
      while (this.published - before < due) this.next();
      await Bun.sleep(TICK_MS);
    }
  }
}

async function own(bus: Bus | null): Promise<BusMeasured> {
  const load = new Load(bus);
  await load.run(WARM_MS);
  await bus?.flushed();
  load.say("begin");
  console.log("begin");
  const window = new Window();
  window.begin(bus);
  const before = load.published;
  await load.run(seconds * 1000);
  await bus?.flushed();
  window.publications = load.published - before;
  const measured = window.end(bus);
  console.log("end");
  load.say("end");
  await bus?.flushed();
  return measured;
}

const bus = await openBus();
const receiving = (role === "receiver" || role === "both") && bus !== null ? receive(bus) : null;
if (bus !== null && isNats(bus)) await bus.link.connection?.flush();
console.log("ready");
const results = await Promise.all([role === "receiver" ? null : own(bus), receiving]);
console.log(JSON.stringify(results));
await bus?.close();
