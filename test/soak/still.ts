/**
 * The soak of a network that stands still: CLIENTS sessions of both dialects whose network stops for STILL_MS and comes
 * back, ROUNDS times. A second after that each must have the exact book and every trade again, on its old connection or,
 * where the node closed it with a code, on a new one.
 *
 * Prints a line per round; exit status 1 if anything was not exact, not in time, or closed without a code.
 */

import { BinanceBook } from "../lib/binance-book.ts";
import { BinanceClient } from "../lib/binance-client.ts";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { JitteryClient } from "../lib/jittery-client.ts";
import { optionsOf } from "../lib/options.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { waitFor } from "../lib/wait.ts";

const values = optionsOf("npm run soak -- still [--clients 20] [--still-ms 20000] [--rounds 3] [--rate 500]", {
  options: {
    clients: { type: "string", default: "20" },
    "still-ms": { type: "string", default: "20000" },
    rounds: { type: "string", default: "3" },
    // Updates a second of the simulated exchange. What all sessions missed is read by this one process.
    rate: { type: "string", default: "500" },
  },
});
const count = Number(values.clients);
const stillMs = Number(values["still-ms"]);
const rounds = Number(values.rounds);
const DEPTH = "btcusdt@depth";
const TRADE = "btcusdt@trade";
const BACK_MS_MAX = 1000;

console.log(`${count} native and ${count} Binance sessions, ${rounds} times ${stillMs} ms without a network ...`);
let failed = false;
await using node = await startTestNode({ simRate: values.rate });
using proxy = await CuttingProxy.start({ port: node.port, seed: 1 });
const truth = await node.native();
await truth.subscribe([DEPTH, TRADE]);
const clients = Array.from(
  { length: count },
  () =>
    new JitteryClient({
      url: `ws://127.0.0.1:${proxy.port}/ws/quote/v1`,
      channels: [DEPTH, TRADE],
      awayMs: () => 10,
    }),
);
await waitFor(() => clients.every((client) => client.stream(TRADE).items.length > 0), "every session has trades");
for (let round = 1; round <= rounds; round++) await play(node, round);
const faults = [...truth.faults, ...clients.flatMap((client) => client.faults)];
for (const fault of faults.slice(0, 10)) console.log(`  ${fault}`);
const silent = clients.reduce((sum, { closes }) => sum + (closes.get(1005) ?? 0) + (closes.get(1006) ?? 0), 0);
failed ||= faults.length > 0 || silent > 0;
console.log(
  failed ? `\n${faults.length} faults, ${silent} closed without a code` : "\nexact again in time, every time",
);
await Promise.all(clients.map((client) => client.stop()));
truth.close();
process.exitCode = failed ? 1 : 0;

async function play({ http }: TestNode, round: number): Promise<void> {
  const binance = await Promise.all(Array.from({ length: count }, () => joinBinance(http)));
  proxy.pause();
  await Bun.sleep(stillMs);
  proxy.resume();
  const resumedMs = performance.now();
  const ends = [DEPTH, TRADE].map((asked) => [asked, truth.stream(asked).have ?? 0] as const);
  const isBack = (client: JitteryClient): boolean =>
    ends.every(([asked, end]) => (client.stream(asked).have ?? 0) >= end);
  const depthEnd = ends[0]![1];
  let closed = 0;
  let pending = [
    ...clients.map((client) => () => isBack(client)),
    ...binance.map(({ client, book }) => () => {
      if (client.closed !== null) closed++;
      return client.closed !== null || (book.id ?? 0) >= depthEnd;
    }),
  ];
  await waitFor(
    () => {
      pending = pending.filter((isDone) => !isDone());
      return pending.length === 0;
    },
    () => `${pending.length} sessions are back`,
    60_000,
  );
  const backMs = performance.now() - resumedMs;
  await waitFor(() => clients.every((client) => isExact(client)), "every native session's book is compared", 60_000);
  const wrong = binance.flatMap(({ client, book }) => [
    ...book.faults,
    ...(client.closed === null || ![1005, 1006].includes(client.closed.code) ? [] : ["closed without a code"]),
  ]);
  for (const { client } of binance) client.close();
  const closes = clients.map(({ closes }) => [...closes].map(([code, times]) => `${times} x ${code}`).join(" "));
  if (backMs > BACK_MS_MAX || wrong.length > 0) failed = true;
  console.log(
    `round ${round}: all back ${backMs.toFixed(0)} ms after the network; Binance: ${closed} closed with a code, ` +
      `${count - closed} went on, ${wrong.length} faults; native closes so far: ${[...new Set(closes)].join(" | ") || "none"}`,
  );
}

/** Held against the one who stayed, at a moment when both stand at the same place. */
function isExact(client: JitteryClient): boolean {
  const [mine, right] = [client.stream(DEPTH), truth.stream(DEPTH)];
  if (mine.have !== right.have) return false;
  if (!Bun.deepEquals(mine.book.depth(), right.book.depth())) {
    failed = true;
    console.log(`  another book at ${mine.have}`);
  }
  return true;
}

async function joinBinance(http: string): Promise<{ client: BinanceClient; book: BinanceBook }> {
  const client = await BinanceClient.connect(`ws://127.0.0.1:${proxy.port}/ws`);
  const book = new BinanceBook(client, "");
  await client.request("SUBSCRIBE", ["btcusdt@depth@100ms"]);
  await book.start(http, "btcusdt");
  return { client, book };
}
