/**
 * One variant in one fresh process: `bun bench/lib/pipeline-child.ts <variant> <recording> <seconds>`. Prints a
 * `Measured` as one line of JSON.
 *
 * First one cold pass over the feed, then warm-up, then so many seconds of passes for the rate and the memory, then some
 * with a clock around each record for the latency (reading the clock twice costs about 0.1 us, so they do not count for the
 * rate). Every BATCH records the event loop has its turn, as in the replay source.
 */
import { type Expected, VARIANTS, type Variant } from "./pipeline-variants.ts";
import { BATCH, textsOf, turn } from "./recorded-texts.ts";

export interface Measured {
  readonly variant: string;
  readonly coldPerSecond: number;
  readonly warmPerSecond: number;
  /** CPU of the whole process per record while warm. */
  readonly cpuUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly records: number;
  /** Heap after the rate passes minus before them, both after a collection. */
  readonly heapGrowthBytes: number;
  readonly rssGrowthBytes: number;
  readonly rssBytes: number;
  readonly fault: string | null;
}

const WARM_UP_MS = 1500;
const LATENCY_PASSES = 10;

/** Counted on the text alone. */
function expectedOf(texts: readonly string[]): Expected {
  const books = texts.filter((text) => text.includes('"book-1000","') && text.startsWith("["));
  return {
    records: texts.length,
    books: books.length,
    checksums: books.filter((text) => text.includes('"c":"')).length,
  };
}

async function pass(variant: Variant, texts: readonly string[]): Promise<void> {
  for (let at = 0; at < texts.length; at += BATCH) {
    const end = Math.min(texts.length, at + BATCH);
    for (let i = at; i < end; i++) variant.record(texts[i]!);
    await turn();
  }
}

async function timedPass(variant: Variant, texts: readonly string[], ns: number[]): Promise<void> {
  for (let at = 0; at < texts.length; at += BATCH) {
    const end = Math.min(texts.length, at + BATCH);
    for (let i = at; i < end; i++) {
      const start = Bun.nanoseconds();
      variant.record(texts[i]!);
      ns.push(Bun.nanoseconds() - start);
    }
    await turn();
  }
}

function memory(): { heap: number; rss: number } {
  Bun.gc(true);
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed, rss };
}

async function measure(name: string, path: string, seconds: number): Promise<Measured> {
  const create = VARIANTS[name];
  if (create === undefined) throw new Error(`no variant ${name}: one of ${Object.keys(VARIANTS).join(", ")}`);
  const texts = textsOf(path);
  const expected = expectedOf(texts);
  const variant = await create(texts);
  let passes = 0;

  const coldStart = performance.now();
  await pass(variant, texts);
  const coldMs = performance.now() - coldStart;
  passes++;

  for (const end = performance.now() + WARM_UP_MS; performance.now() < end; passes++) await pass(variant, texts);

  const before = memory();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const first = passes;
  for (const end = start + seconds * 1000; performance.now() < end; passes++) await pass(variant, texts);
  const elapsedMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const records = (passes - first) * texts.length;
  const after = memory();

  const ns: number[] = [];
  for (let i = 0; i < LATENCY_PASSES; i++, passes++) await timedPass(variant, texts, ns);
  ns.sort((a, b) => a - b);
  const us = (share: number): number => ns[Math.floor(share * (ns.length - 1))]! / 1000;

  const fault = await variant.fault(passes, expected);
  await variant.close?.();
  return {
    variant: name,
    coldPerSecond: (texts.length / coldMs) * 1000,
    warmPerSecond: (records / elapsedMs) * 1000,
    cpuUs: (user + system) / records,
    p50Us: us(0.5),
    p99Us: us(0.99),
    records,
    heapGrowthBytes: after.heap - before.heap,
    rssGrowthBytes: after.rss - before.rss,
    rssBytes: after.rss,
    fault,
  };
}

const [name = "", path = "", seconds = "2"] = process.argv.slice(2);
console.log(JSON.stringify(await measure(name, path, Number(seconds))));
