/**
 * The soak: every client library's book against the node's in a bad network, and subscribe-then-REST again and again, for as long as `npm run soak -- --seconds N` says. Prints a table; exit status 1 if anything was not exact.
 */

import { type Network, NODE_FLAGS, type RunReport, runBooks } from "../clients/lib/book-run.ts";
import { beginBooks } from "../clients/lib/book-start.ts";
import { startChildNode } from "../lib/child-node.ts";
import { optionsOf } from "../lib/options.ts";

/** Some connections live long enough for the node to find them too slow, or for their client to give them up. */
const NETWORK: Network = {
  lifeMsMin: 1500,
  lifeMsMax: 25_000,
  weathers: [
    {},
    { delayMs: [5, 300] },
    { delayMs: [0, 20], bytesPerSecond: 25_000 },
    { bytesPerSecond: 4_000 },
    { delayMs: [0, 20], pause: { everyMs: [300, 3000], ms: [200, 3000] } },
    { pause: { everyMs: [2000, 8000], ms: [5000, 20_000] } },
  ],
};

const values = optionsOf("npm run soak -- books [--seconds 300] [--seed 1]", {
  options: { seconds: { type: "string", default: "300" }, seed: { type: "string", default: "1" } },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isInteger(seed)) throw new Error("--seconds is above 0, --seed a whole number");

console.log(`books of client libraries in a bad network, ${seconds} s (seed ${seed}) ...`);
const node = await startChildNode(NODE_FLAGS);
const [report, starts] = await Promise.all([
  runBooks({ node, seconds, seed, network: NETWORK }),
  beginForever(),
]).finally(() => node[Symbol.asyncDispose]());
print(report);
console.log(`\n${starts.times} times subscribe, then REST: ${starts.faults.length} not continuous or not exact`);
for (const fault of starts.faults.slice(0, 10)) console.log(`  ${fault}`);
/** A chain ends with its connection and nowhere else. */
const broken = report.books.filter(({ program, restarts }) => restarts > (report.connections[program] ?? 0)).length;
const missing = Object.values(report.missing);
const faults = [
  ...missing,
  ...report.books.flatMap((book) => [...book.faults, ...book.complaints]),
  ...report.nativeFaults,
];
for (const fault of faults) console.log(`  ${fault}`);
const failed =
  faults.length + starts.faults.length + broken + report.books.reduce((sum, book) => sum + book.startGaps, 0);
console.log(failed === 0 ? "\nevery book was exact" : `\n${failed} faults`);
process.exit(failed === 0 ? 0 : 1);

/** A thousand at a time until the time is over. */
async function beginForever(): Promise<{ times: number; faults: string[] }> {
  const end = performance.now() + seconds * 1000;
  const all = { times: 0, faults: [] as string[] };
  for (let round = 0; round === 0 || performance.now() < end; round++) {
    const { times, faults } = await beginBooks({ node, times: 1000 });
    all.times += times;
    all.faults.push(...faults);
  }
  return all;
}

function print({ books, cuts, connections, ended, torn, pauses, rates }: RunReport): void {
  console.table(
    books.map(({ program, market, symbol, books: compared, faults, restarts, startGaps, complaints }) => ({
      library: program,
      book: `${market} ${symbol}`,
      compared,
      faults: faults.length,
      restarts,
      startGaps,
      complaints: complaints.length,
      connections: connections[program] ?? 0,
      cuts: cuts[program] ?? 0,
      ended: ended[program] ?? 0,
    })),
  );
  const perSecond = Object.entries(rates).map(([channel, rate]) => `${channel} ${rate.toFixed(0)}/s`);
  console.log(`${torn} of the cuts in the middle of what the node sent, ${pauses} pauses; ${perSecond.join(", ")}`);
}
