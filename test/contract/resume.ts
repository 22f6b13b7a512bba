/**
 * What a shard over a replayable source keeps across its end: the epoch, the numbers, the content. Run by every source that
 * a broker gives, against the real server, beside the source contract.
 */
import { expect, test } from "bun:test";
import type { BrokerRecord } from "../../src/ingest/broker.ts";
import { type Checkpoint, type CheckpointStore, MemoryCheckpoints } from "../../src/ingest/checkpoint.ts";
import { deserialise, serialise } from "../../src/ingest/checkpoints/serialise.ts";
import type { Mapper } from "../../src/ingest/mapper/mapper.ts";
import { ChannelOwners } from "../../src/ingest/owners.ts";
import { Shard } from "../../src/ingest/shard.ts";
import type { Source } from "../../src/ingest/source.ts";
import { json, RecordingBus, RecordingLog, testRegistry } from "../../src/ingest/testing/rig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { waitFor } from "../lib/wait.ts";

export interface ResumeCases {
  /** A fresh source over one and the same input, which holds at least 1,500 records and yields them without an end. */
  readonly open: () => Source;
  /** Offset of its first record, where that is not 0. */
  readonly first?: number;
}

/** Each record becomes the value of channel c0. */
const mapper: Mapper = {
  name: "bytes",
  version: 1,
  map: (value) => [json(1_767_225_600_000, JSON.stringify(new TextDecoder().decode((value as BrokerRecord).value)))],
};

/** Keeps what a real store would: bytes. `keeps` decides which ones arrive there. */
class ByteCheckpoints implements CheckpointStore {
  readonly #kept = new MemoryCheckpoints();
  keeps: (checkpoint: Checkpoint) => boolean = () => true;

  load(shard: string): Promise<Checkpoint | null> {
    return this.#kept.load(shard);
  }

  async save(shard: string, checkpoint: Checkpoint): Promise<boolean> {
    if (!this.keeps(checkpoint)) return true;
    return this.#kept.save(shard, await deserialise(await serialise(checkpoint)));
  }
}

interface Run {
  readonly shard: Shard;
  readonly bus: RecordingBus;
}

/** A fast source is held there, so that its input is not at its end. */
async function run(source: Source, checkpoints: CheckpointStore, untilOffset: number): Promise<Run> {
  const bus = new RecordingBus();
  const never = new Promise<void>(() => undefined);
  const shard: Shard = new Shard({
    id: "shard",
    source,
    mapper,
    bus,
    catalog: testRegistry(),
    owners: new ChannelOwners(),
    checkpoints,
    clock: systemClock(),
    topicOf: (channel) => channel,
    provides: ["json"],
    log: new RecordingLog(),
    randomId: () => crypto.randomUUID().slice(0, 8),
    pause: () => ((shard.status().offset ?? -1) >= untilOffset ? never : null),
  });
  await shard.start();
  await waitFor(
    () => (shard.status().offset ?? -1) >= untilOffset,
    () => `offset ${untilOffset}: ${JSON.stringify(shard.status())}`,
  );
  await shard.stop();
  return { shard, bus };
}

const told = ({ bus }: Run) =>
  bus.published.map(({ header, publication: { seq, prev, data } }) => ({ epoch: header.epoch, seq, prev, data }));

export function resumeContract(name: string, { open, first: begin = 0 }: ResumeCases): void {
  test(`${name} - a shard that was stopped goes on from its checkpoint: same epoch, next number, nothing twice`, async () => {
    const checkpoints = new ByteCheckpoints();
    const first = await run(open(), checkpoints, 400);
    const second = await run(open(), checkpoints, (first.shard.status().offset ?? 0) + 300);
    const { epoch, base, token } = first.shard.status();
    expect(second.shard.status()).toMatchObject({ epoch, base });
    expect(second.shard.status().token).toBeGreaterThan(token);
    const all = [...told(first), ...told(second)];
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, at) => base + begin + at));
    expect(all.slice(1).map(({ prev }) => prev)).toEqual(all.slice(0, -1).map(({ seq }) => seq));
    const whole = await run(open(), new MemoryCheckpoints(), begin + all.length - 1);
    expect(all.map(({ data }) => data)).toEqual(
      told(whole)
        .slice(0, all.length)
        .map(({ data }) => data),
    );
  });

  test(`${name} - a shard that died repeats what came behind its last checkpoint, with the same numbers`, async () => {
    const checkpoints = new ByteCheckpoints();
    const before = await run(open(), checkpoints, 200);
    // What comes behind does not arrive.
    checkpoints.keeps = ({ offset }) => offset === before.shard.status().offset;
    const died = await run(open(), checkpoints, (before.shard.status().offset ?? 0) + 300);
    checkpoints.keeps = () => true;
    const kept = await checkpoints.load("shard");
    const again = await run(open(), checkpoints, died.shard.status().offset ?? 0);
    const repeated = told(again).slice(0, told(died).length);
    expect(repeated.length).toBeGreaterThan(250);
    expect(repeated).toEqual(told(died));
    expect(repeated[0]?.seq).toBe(kept!.base + (kept!.offset ?? -1) + 1);
  });
}
