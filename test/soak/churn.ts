/**
 * The soak of coming and going: clients connect, subscribe and leave in every way there is, again and again; afterwards
 * the node holds what it held before: memory, descriptors, sessions, topics, channels, timers and heap of every thread.
 *
 * `npm run soak -- churn [--cycles 20000] [--seconds 600]`: so many cycles, spread over so long. Exit status 1 if
 * anything grew or a client was not served.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../../sim/random.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { waitFor } from "../lib/wait.ts";
import { ChurnClient } from "./lib/churn-client.ts";
import { HEAP_FOLDER } from "./lib/heap-watch.ts";
import { growths, type Held, held, metricsOf, type Watched } from "./lib/held.ts";

const { values } = parseArgs({
  options: {
    cycles: { type: "string", default: "20000" },
    seconds: { type: "string", default: "600" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log("npm run soak -- churn [--cycles 20000] [--seconds 600] [--seed 1]");
  process.exit(0);
}
const cycles = Number(values.cycles);
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(cycles >= 1) || !(seconds > 0) || !Number.isInteger(seed))
  throw new Error("--cycles from 1 on, --seconds above 0, --seed a whole number");

/** Clients that are there at once. */
const CLIENTS = 40;
/** Cycles before the first count: what is made once is made then. */
const WARM = Math.min(2000, Math.max(200, Math.floor(cycles / 10)));
/** The node keeps the state of a channel that nobody wants for a minute. */
const LINGER_MS = 90_000;
/** The source's own histories reach back a minute: until they are full, the node grows by itself. */
const WARM_SECONDS = 90;

const WORKERS = 2;
const PROGRAM = join(import.meta.dir, "lib/watched-node.ts");
const FLAGS = [
  "--port",
  "0",
  "--admin-port",
  "0",
  "--workers",
  String(WORKERS),
  "--ring-bytes",
  "16MiB",
  "--log-format",
  "json",
  "--sim-rate",
  "300",
];

using folder = new TempFolder();
const child = Bun.spawn([process.execPath, "--max-http-header-size=131072", PROGRAM, "serve", ...FLAGS], {
  stdin: "ignore",
  stdout: "pipe",
  stderr: "inherit",
  env: { ...process.env, [HEAP_FOLDER]: folder.path },
});
let failed = true;
try {
  failed = await soak();
} finally {
  child.kill("SIGTERM");
  await child.exited;
}
process.exit(failed ? 1 : 0);

async function soak(): Promise<boolean> {
  const { ws, admin } = await addresses();
  const watched: Watched = { pid: child.pid, admin, folder: folder.path, threads: 1 + WORKERS };
  await waitFor(async () => (await fetch(`${admin}/readyz`)).ok, "the node is ready", 60_000);
  console.log(
    `${cycles} cycles of connecting, subscribing and leaving in ${seconds} s, after ${WARM} in ${WARM_SECONDS} s to warm up (seed ${seed})`,
  );
  const random = new Random(seed);
  await churn(ws, WARM, WARM_SECONDS, random);
  const before = await quiet(watched);
  const { unserved } = await churn(ws, cycles, seconds, random);
  const after = await quiet(watched);
  return report(before, after, unserved);
}

/** Where the node listens, from its log; the rest of the log is read and dropped. */
async function addresses(): Promise<{ ws: string; admin: string }> {
  const decoder = new TextDecoder();
  const lines = child.stdout.getReader();
  let log = "";
  for (;;) {
    const { value, done } = await lines.read();
    if (done) throw new Error(`the node ended: ${log}`);
    log += decoder.decode(value, { stream: true });
    const up = log.split("\n").find((line) => line.includes('"node is up"') && line.endsWith("}"));
    if (up === undefined) continue;
    void (async () => {
      while (!(await lines.read()).done);
    })();
    const { public: http, admin } = JSON.parse(up) as { public: string; admin: string };
    return { ws: http.replace("http", "ws"), admin };
  }
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

function report(before: Held, after: Held, unserved: readonly string[]): boolean {
  const rows = growths(before, after);
  const round = (value: number): number => Math.round(value * 10) / 10;
  console.table(
    rows.map(({ what, before: from, after: to, allowed, ok }) => ({
      what,
      before: round(from),
      after: round(to),
      "may grow by": round(allowed),
      ok,
    })),
  );
  for (const fault of unserved.slice(0, 10)) console.log(`  ${fault}`);
  const grown = rows.filter(({ ok }) => !ok);
  console.log(
    grown.length === 0 && unserved.length === 0
      ? "nothing grew, everybody was served"
      : `${grown.length} things grew, ${unserved.length} of ${cycles} cycles were not served`,
  );
  return grown.length > 0 || unserved.length > 0;
}
