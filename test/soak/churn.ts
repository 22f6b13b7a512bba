/**
 * The soak of coming and going: clients connect, subscribe and leave in every way there is, again and again; afterwards
 * the node holds what it held before: memory, descriptors, sessions, topics, channels, timers and heap of every thread.
 * A second node like it that nobody comes to shows what grows by itself.
 *
 * `npm run soak -- churn [--cycles 20000] [--seconds 600]`: so many cycles, spread over so long. Exit status 1 if
 * anything grew or a client was not served.
 */

import { Random } from "../../sim/random.ts";
import { optionsOf } from "../lib/options.ts";
import { waitFor } from "../lib/wait.ts";
import { ChurnClient } from "./lib/churn-client.ts";
import { grownTypes, growths, type Held, held, metricsOf, type Span } from "./lib/held.ts";
import { startWatched, type Watched } from "./lib/watched.ts";

const values = optionsOf("npm run soak -- churn [--cycles 20000] [--seconds 600] [--seed 1]", {
  options: {
    cycles: { type: "string", default: "20000" },
    seconds: { type: "string", default: "600" },
    seed: { type: "string", default: "1" },
  },
});
const cycles = Number(values.cycles);
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(cycles >= 1) || !(seconds > 0) || !Number.isInteger(seed))
  throw new Error("--cycles from 1 on, --seconds above 0, --seed a whole number");

/** Clients that are there at once. */
const CLIENTS = 40;
/** The node keeps the state of a channel that nobody wants for a minute. */
const LINGER_MS = 90_000;
/** The source's own histories reach back a minute: until they are full, the node grows by itself. */
const WARM_SECONDS = 90;
/** At the same pace: memory is then as large as that needs, before the first count. */
const WARM = Math.ceil((cycles / seconds) * WARM_SECONDS);

const FLAGS = ["--sim-rate", "300"];

const failed = await soak();
process.exit(failed ? 1 : 0);

async function soak(): Promise<boolean> {
  await using visited = await startWatched(FLAGS);
  await using alone = await startWatched(FLAGS);
  console.log(
    `${cycles} cycles of connecting, subscribing and leaving in ${seconds} s, after ${WARM} in ${WARM_SECONDS} s to warm up (seed ${seed})`,
  );
  const random = new Random(seed);
  await churn(visited.ws, WARM, WARM_SECONDS, random);
  const [before, aloneBefore] = [await quiet(visited), await held(alone)];
  const { unserved } = await churn(visited.ws, cycles, seconds, random);
  const [after, aloneAfter] = [await quiet(visited), await held(alone)];
  return report({ before, after }, { before: aloneBefore, after: aloneAfter }, unserved);
}

/** So many cycles by a few clients, evenly spread over the time, or as fast as it goes if that is slower. */
async function churn(ws: string, count: number, time: number, random: Random): Promise<{ unserved: string[] }> {
  const start = performance.now();
  const unserved: string[] = [];
  let begun = 0;
  let shownMs = start;
  const client = async (): Promise<void> => {
    while (begun < count) {
      const due = start + (begun / count) * time * 1000;
      begun += 1;
      const wait = due - performance.now();
      if (wait > 0) await Bun.sleep(wait);
      const fault = await new ChurnClient(ws, random).live();
      if (fault !== null) unserved.push(fault);
      if (performance.now() - shownMs > 30_000) {
        shownMs = performance.now();
        console.log(`  ${begun} cycles, ${((shownMs - start) / 1000).toFixed(0)} s, ${unserved.length} not served`);
      }
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  const rest = start + time * 1000 - performance.now();
  if (rest > 0) await Bun.sleep(rest);
  return { unserved };
}

/** What it holds when everybody has left and the node has noticed. */
async function quiet(watched: Watched): Promise<Held> {
  let last = "";
  await waitFor(
    async () => {
      await Bun.sleep(500);
      const metric = await metricsOf(watched.admin);
      last = `${metric("tidegate_sessions")} sessions, ${metric("tidegate_topics")} topics`;
      return metric("tidegate_sessions") === 0 && metric("tidegate_topics") === 0;
    },
    () => `nobody is left: ${last}`,
    LINGER_MS,
  );
  return await held(watched);
}

function report(visited: Span, alone: Span, unserved: readonly string[]): boolean {
  const rows = growths(visited, alone);
  const round = (value: number): number => Math.round(value * 10) / 10;
  console.table(
    rows.map(({ what, before, after, other, more, ok }) => ({
      what,
      before: round(before),
      after: round(after),
      "left alone, grew": round(other),
      "may grow more": round(more),
      ok,
    })),
  );
  for (const fault of unserved.slice(0, 10)) console.log(`  ${fault}`);
  const grown = rows.filter(({ ok }) => !ok);
  const threads = visited.after.heaps.filter(({ thread }) => grown.some(({ what }) => what.startsWith(thread)));
  for (const { thread } of threads) for (const line of grownTypes(visited, alone, thread)) console.log(`  ${line}`);
  console.log(
    grown.length === 0 && unserved.length === 0
      ? "nothing grew, everybody was served"
      : `${grown.length} things grew, ${unserved.length} of ${cycles} cycles were not served`,
  );
  return grown.length > 0 || unserved.length > 0;
}
