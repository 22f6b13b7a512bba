/**
 * One measurement of bench/venues.ts in a process of its own: `bun venues-child.ts FILE map|owner SECONDS` prints one line of
 * JSON. The recording is in memory; it is passed again and again, each pass an epoch of its own as in a looping replay.
 *
 *     map    JSON text -> typed, validated updates
 *     owner  map + derived kinds + books with the venue's checksums and numbers + seq -> memory bus, nobody listening
 *
 * Expected: nothing malformed, refused or repaired, and every pass publishes what the first one did.
 */
import { createMemoryBus } from "../../src/bus/memory.ts";
import { InstrumentRegistry } from "../../src/channel/registry.ts";
import { MemoryCheckpoints } from "../../src/ingest/checkpoint.ts";
import { createMapper, learnInto, type Mapper, mapperOfVenue } from "../../src/ingest/mapper/mod.ts";
import { ChannelOwners } from "../../src/ingest/owners.ts";
import { recorded } from "../../src/ingest/recorded.ts";
import { inspectReplay } from "../../src/ingest/replay-file.ts";
import { Shard } from "../../src/ingest/shard.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { BATCH, recordedSource, textsOf, turn } from "./recorded-texts.ts";

export interface VenueMeasured {
  readonly cpuUs: number;
  readonly recordsPerSecond: number;
  readonly recordsPerPass: number;
  readonly bytesPerRecord: number;
  /** Updates of the mapper, or publications. */
  readonly madePerPass: number;
  readonly passes: number;
  readonly fault: string | null;
}

interface Stage {
  pass(texts: readonly string[]): Promise<void>;
  /** What all passes made so far. */
  made(): number;
  fault(): string | null;
  close?(): Promise<void>;
}

const WARM_UP_MS = 1500;

async function eachInBatches(texts: readonly string[], take: (text: string) => void): Promise<void> {
  for (let at = 0; at < texts.length; at += BATCH) {
    const end = Math.min(texts.length, at + BATCH);
    for (let i = at; i < end; i++) take(texts[i]!);
    await turn();
  }
}

function mapStage(mapper: Mapper): Stage {
  let updates = 0;
  let malformed = 0;
  const take = (text: string): void => {
    const mapped = mapper.map(text);
    if ("malformed" in mapped || "skipped" in mapped) malformed++;
    else updates += mapped.length;
  };
  return {
    pass: (texts) => eachInBatches(texts, take),
    made: () => updates,
    fault: () => (malformed === 0 ? null : `${malformed} records were malformed`),
  };
}

async function ownerStage(
  mapper: Mapper,
  registry: InstrumentRegistry,
  provides: ReturnType<typeof recorded>["provides"],
): Promise<Stage> {
  const clock = systemClock();
  const bus = createMemoryBus({ clock });
  const problems: string[] = [];
  const note = (message: string, fields?: object): void => void problems.push(`${message} ${JSON.stringify(fields)}`);
  const shard = new Shard({
    id: "bench/0",
    source: recordedSource,
    mapper,
    bus,
    catalog: registry,
    owners: new ChannelOwners(),
    checkpoints: new MemoryCheckpoints(),
    clock,
    topicOf: (channel) => channel,
    provides,
    log: { info: () => undefined, warn: note, error: note },
    randomId: () => "bench",
  });
  await shard.start();
  let offset = 0;
  const take = (text: string): void =>
    shard.accept({ type: "data", offset: offset++, receivedUs: clock.wallUs(), value: text });
  return {
    async pass(texts) {
      // Nothing is held back: the checkpoint store is memory.
      await shard.busy();
      if (offset > 0) shard.accept({ type: "epoch", offset, receivedUs: clock.wallUs() });
      offset = 0;
      await eachInBatches(texts, take);
    },
    made: () => Object.values(shard.status().publications).reduce((sum, count) => sum + count, 0),
    fault() {
      const { malformed, refused, resyncs, failure, staleBooks } = shard.status();
      const found = JSON.stringify({
        malformed,
        refused,
        resyncs,
        failure,
        staleBooks,
        problems: problems.slice(0, 3),
      });
      const sound = '{"malformed":{},"refused":{},"resyncs":{},"failure":null,"staleBooks":[],"problems":[]}';
      return found === sound ? null : found;
    },
    async close() {
      await shard.stop();
      await bus.close();
    },
  };
}

async function measure(path: string, name: string, seconds: number): Promise<VenueMeasured> {
  const head = inspectReplay(path);
  const { provides, window } = recorded(head);
  const registry = new InstrumentRegistry();
  const problems: string[] = [];
  const learn = learnInto(registry, (error) => problems.push(error.message));
  const mapper = createMapper(mapperOfVenue(head.venue) ?? "", { learn, ...(window === undefined ? {} : { window }) });
  const stage = name === "map" ? mapStage(mapper) : await ownerStage(mapper, registry, provides);
  const texts = textsOf(path);

  await stage.pass(texts);
  const madePerPass = stage.made();
  let passes = 1;
  for (const end = performance.now() + WARM_UP_MS; performance.now() < end; passes++) await stage.pass(texts);

  Bun.gc(true);
  const first = passes;
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (const end = start + seconds * 1000; performance.now() < end; passes++) await stage.pass(texts);
  const elapsedMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);

  const records = (passes - first) * texts.length;
  const made = stage.made();
  const uneven =
    made === passes * madePerPass && made > 0 ? null : `${made} made in ${passes} passes, ${madePerPass} in the first`;
  const fault = stage.fault() ?? problems[0] ?? uneven;
  await stage.close?.();
  return {
    cpuUs: (user + system) / records,
    recordsPerSecond: (records / elapsedMs) * 1000,
    recordsPerPass: texts.length,
    bytesPerRecord: texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / texts.length,
    madePerPass,
    passes,
    fault,
  };
}

const [path = "", name = "", seconds = "2"] = process.argv.slice(2);
console.log(JSON.stringify(await measure(path, name, Number(seconds))));
