/**
 * The soak of brokers: two nodes over real Kafka, NATS and Redis, RATE records/s of trades and depth of many symbols to a
 * verifying client on each node, while each server is killed and restarted again and again, and hung now and then.
 *
 * `npm run soak -- brokers [--seconds 600] [--rate 5000] [--symbols 50] [--kills 3] [--hangs 1]`. Exit status 1 if a trade
 * came twice or not at all, or a book was not the source's, and nobody was told; or if a client was closed.
 */

import { MarketWorld, type Servers } from "../lib/market/world.ts";
import { optionsOf } from "../lib/options.ts";

const values = optionsOf(
  "npm run soak -- brokers [--seconds 600] [--rate 5000] [--symbols 50] [--kills 3] [--hangs 1] [--hang-ms 15000] [--seed 1]",
  {
    options: {
      seconds: { type: "string", default: "600" },
      rate: { type: "string", default: "5000" },
      symbols: { type: "string", default: "50" },
      kills: { type: "string", default: "3" },
      hangs: { type: "string", default: "1" },
      "hang-ms": { type: "string", default: "15000" },
      seed: { type: "string", default: "1" },
    },
  },
);
const [seconds, rate, symbols, kills, hangs, hangMs, seed] = [
  values.seconds,
  values.rate,
  values.symbols,
  values.kills,
  values.hangs,
  values["hang-ms"],
  values.seed,
].map(Number) as [number, number, number, number, number, number, number];
if (
  [seconds, rate, symbols].some((value) => !(value > 0)) ||
  [kills, hangs, hangMs, seed].some((value) => !(value >= 0))
) {
  console.error("--seconds, --rate and --symbols are above 0, the others from 0 on");
  process.exit(2);
}

/** How long a killed server is away. */
const DOWN_MS = 2000;
const PROGRESS_MS = 10_000;
const LOOK_MS = 100;
/** A machine that is too slow for the rate may be late, but not wrong. */
const SETTLE_MS_MAX = 300_000;
/** No more faults in the last part: what heals shall be seen to have healed. */
const CALM_SHARE = 0.1;

interface Fault {
  readonly what: "killed" | "hung";
  readonly server: keyof Servers;
  readonly atMs: number;
}

process.exit((await soak()) ? 0 : 1);

async function soak(): Promise<boolean> {
  console.log(
    `${rate} records/s of ${symbols} symbols by Kafka and NATS to two nodes, ${seconds} s (seed ${seed}) ...`,
  );
  await using world = await MarketWorld.start({ symbols, rate, seed });
  const begin = performance.now();
  const since = (): number => performance.now() - begin;
  const faults = plan();
  const running: Promise<void>[] = [];
  let shownMs = 0;
  while (since() < seconds * 1000) {
    world.look();
    if ((faults[0]?.atMs ?? Number.POSITIVE_INFINITY) <= since()) running.push(make(world, faults.shift()!, since));
    if (since() - shownMs > PROGRESS_MS) {
      shownMs = since();
      progress(world, shownMs);
    }
    await Bun.sleep(LOOK_MS);
  }
  await Promise.all(running);
  let arrived = "";
  try {
    await world.settle(SETTLE_MS_MAX);
  } catch (error) {
    arrived = error instanceof Error ? error.message : String(error);
  }
  return await report(world, arrived);
}

/** One server after the other, evenly spread. */
function plan(): Fault[] {
  const rounds = [...Array<"killed">(kills).fill("killed"), ...Array<"hung">(hangs).fill("hung")];
  const order = rounds.flatMap((what) => (["redis", "nats", "kafka"] as const).map((server) => ({ what, server })));
  const stepMs = (seconds * 1000 * (1 - CALM_SHARE)) / Math.max(1, order.length);
  return order.map((fault, at) => ({ ...fault, atMs: (at + 0.3) * stepMs }));
}

async function make({ servers }: MarketWorld, { what, server }: Fault, since: () => number): Promise<void> {
  const one = servers[server];
  const say = (text: string): void => console.log(`${(since() / 1000).toFixed(0).padStart(5)} s  ${server} ${text}`);
  if (what === "killed") {
    await one.kill();
    say("killed");
    await Bun.sleep(DOWN_MS);
    await one.restart();
    say("is back");
  } else {
    one.freeze();
    say("hangs");
    await Bun.sleep(hangMs);
    one.thaw();
    say("goes on");
  }
}

function progress({ producer, tally }: MarketWorld, ms: number): void {
  const { trades, books, told, faultCount, missed } = tally;
  const written = [...producer.markets.values()].reduce((sum, market) => sum + market.trades, 0);
  const received = `${trades} of ${2 * written} trades, ${books} books compared`;
  const counts = `${producer.records} records, ${producer.waiting} wait for Kafka; ${received}`;
  const ends = `${told} told, ${missed.spot! + missed.usdm!} missed and told, ${faultCount} differences`;
  console.log(`${(ms / 1000).toFixed(0).padStart(5)} s  ${counts}; ${ends}`);
}

async function report({ producer, tally, nodes }: MarketWorld, arrived: string): Promise<boolean> {
  const made = [...producer.markets.values()];
  const sum = (count: (market: (typeof made)[number]) => number): number =>
    made.reduce((all, one) => all + count(one), 0);
  console.log();
  console.table([
    { "": "records written", count: producer.records },
    { "": "trades written", count: sum(({ trades }) => trades) },
    { "": "books written", count: sum(({ version }) => version) },
    { "": "trades received by two clients", count: tally.trades },
    { "": "books compared", count: tally.books },
    { "": "trades of Kafka missed and told", count: tally.missed.spot },
    { "": "trades of NATS missed and told", count: tally.missed.usdm },
    { "": "notices (gap, stale)", count: tally.told },
    { "": "requests to Kafka that failed", count: producer.failures },
    { "": "differences nobody told", count: tally.faultCount },
  ]);
  for (const fault of tally.faults) console.log(`  ${fault}`);
  if (arrived !== "") console.log(`  ${arrived}`);
  for (const node of nodes) {
    const { ready, parts } = await node.readiness();
    const unwell = Object.entries(parts).filter(([, { state }]) => state !== "ok");
    console.log(`node ${node.admin}: ${ready ? "ready" : "not ready"} ${JSON.stringify(Object.fromEntries(unwell))}`);
  }
  const exact = tally.faultCount === 0 && arrived === "";
  console.log(exact ? "every trade once, every book the source's, or told" : "NOT EXACT");
  return exact;
}
