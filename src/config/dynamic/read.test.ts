import { expect, test } from "bun:test";
import { dynamicContext } from "../../dynamic-context.ts";
import { systemClock } from "../../lib/clock.ts";
import { parseDynamic } from "./parse.ts";
import { readDynamic } from "./read.ts";

const context = dynamicContext();
/** On a machine that is busy with much else. */
const BUSY_MS = 60_000;
const read = (document: unknown) => readDynamic(JSON.stringify(document), context, systemClock());

/** So many routes, the last one with what `broken` says. */
function document(count: number, noteLength: number, broken: Record<string, unknown> = {}) {
  const routes = Array.from({ length: count }, (_, at) => ({
    id: `route-${at}`,
    data_source: "k",
    mappings: [{ mapper: "trade_v1", source_topic: `md.${at}`, fanout_topic: `f.${at}`, ws_topic: `s${at}@trade` }],
    ...(at === count - 1 ? broken : {}),
  }));
  return { datasource: [{ type: "kafka", name: "k", properties: { note: "x".repeat(noteLength) } }], routes };
}

test(
  "dynamic config - a document of more than 10 MB is parsed beside the main thread, its last mistake found",
  async () => {
    const big = document(10_000, 9_500_000, { data_source: "kk" });
    expect(JSON.stringify(big).length).toBeGreaterThan(10 * 1024 * 1024);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const parsed = await read(big);
    clearInterval(timer);
    expect("mistakes" in parsed && parsed.mistakes).toMatchObject([
      { path: "routes[9999].data_source", message: 'no data source "kk", did you mean "k"?' },
    ]);
    // The main thread went on meanwhile.
    expect(turns).toBeGreaterThan(5);
  },
  BUSY_MS,
);

test(
  "dynamic config - a sound document comes back from the worker as it would from here",
  async () => {
    const sound = document(1000, 10);
    const here = parseDynamic(JSON.stringify(sound), context);
    expect("config" in here && here.config.routes.length).toBe(1000);
    expect(await read(sound)).toEqual(here);
  },
  BUSY_MS,
);
