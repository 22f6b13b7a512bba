/** The synthetic source counts the bytes of a native frame without knowing the dialect: here the two are held together. */
import { expect, test } from "bun:test";
import { InstrumentRegistry } from "../../src/channel/registry.ts";
import type { Update } from "../../src/channel/types.ts";
import { createSynthetic, syntheticChannels } from "../../src/ingest/synthetic.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { native, nativeEncoder } from "../../src/protocol/native/mod.ts";

/** A clock at a fixed wall time, with real timers. */
const at = (wallUs: number): Clock => ({ ...systemClock(), wallUs: () => wallUs });

/** The first record's updates as the frames a native client gets in the steady state of an epoch that begins now. */
async function framesOf(shape: { channels: number; size: number; spread: boolean }, wallUs: number): Promise<string[]> {
  const clock = at(wallUs);
  const abort = new AbortController();
  const updates: Update[] = [];
  const source = createSynthetic({ ...shape, rate: 1, clock });
  await source.run(
    {
      accept: (record) => {
        if (record.type === "data") updates.push(...(record.value as Update[]));
        abort.abort();
      },
      busy: () => null,
    },
    null,
    abort.signal,
  );
  const registry = new InstrumentRegistry();
  for (const name of syntheticChannels(shape.channels)) registry.addTopic(name, "json");
  const seq = Math.floor((wallUs - Date.UTC(2024, 0, 1) * 1000) / 10);
  return updates.flatMap((update) => {
    if (update.type !== "value") throw new Error(`a synthetic update is a ${update.type}`);
    const encoder = nativeEncoder(registry.resolve(update.channel)!, { dialect: "native", timeUnit: "ms" });
    const stamp = { prev: seq, from: seq + 1, seq: seq + 1, time: update.time, sentUs: wallUs, epoch: null };
    const { before, after } = native.envelope(update.channel, false);
    return encoder.value(stamp, update.data, null).map((payload) => before + payload + after);
  });
}

test("synthetic - a native frame has exactly the asked bytes, for every channel and in 2026 and 2030", async () => {
  for (const year of [2026, 2030]) {
    for (const size of [165, 200, 1000]) {
      const frames = await framesOf(
        { channels: 120, size, spread: false },
        Date.UTC(year, 10, 22, 3, 4, 5, 678) * 1000,
      );
      expect(frames).toHaveLength(120);
      for (const frame of frames) expect(Buffer.byteLength(frame)).toBe(size);
      expect(JSON.parse(frames[7]!)).toMatchObject({ channel: "c7", type: "value", data: { ts: expect.any(Number) } });
    }
  }
});
