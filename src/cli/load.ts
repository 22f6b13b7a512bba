/**
 * `tidegate load`: flags and help; what they ask for is done in load/.
 *
 * Exit status: 0 all is well, 1 a fault was found, a limit was missed or nobody could be reached, 2 a wrong flag.
 */
import { type Command, Option } from "commander";
import {
  DEFAULTS,
  expandNames,
  type LoadOptions,
  type LoadWorld,
  lookAlike,
  readAddresses,
  readBytes,
  readDuration,
  readJitter,
  readShare,
  readSlowRate,
  reportText,
  runChild,
  runLoad,
} from "../../load/mod.ts";
import { envName } from "../config/settings.ts";
import { GatewayError } from "../lib/errors.ts";
import { readPem } from "./pem.ts";
import { symbolsOf } from "./symbols.ts";
import { DEFAULT_URL, httpOrigin, nodeUrl } from "./tail/url.ts";
import { amount, collected, number } from "./values.ts";

export interface LoadSurroundings extends LoadWorld {
  readonly stdin: () => ReadableStream<Uint8Array>;
}

interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  loadSurroundings(): LoadSurroundings;
}

interface LoadFlags {
  readonly url?: readonly string[];
  readonly dialect?: LoadOptions["dialect"];
  readonly connections: number;
  readonly connectRate: number;
  readonly subscribe?: readonly string[];
  readonly perConnection?: number;
  readonly byUrl?: true;
  readonly cadence?: number;
  readonly duration?: string;
  readonly messages?: number;
  readonly failFast?: true;
  readonly warmup?: string;
  readonly slow?: string;
  readonly slowRate?: string;
  readonly slowBuffer?: string;
  readonly jitter?: string;
  readonly jitterShare?: string;
  readonly reconnect: boolean;
  readonly verify: LoadOptions["verify"];
  readonly localAddress?: string;
  readonly ca?: string;
  readonly insecure?: true;
  readonly processes?: number;
  readonly json?: true;
  readonly part?: true;
  readonly maxP99?: number;
  readonly maxConnectP99?: number;
  readonly minConnectSuccess?: string;
  readonly maxGaps?: number;
  readonly maxCloses?: number;
  readonly minRate?: number;
}

export function addLoad(program: Command, world: Surroundings, ended: (status: number) => void): void {
  program
    .command("load")
    .description("put many clients on a node and verify what each of them gets")
    .option("--url <URL>", `a port, host:port or URL; repeated: in turn (${envName("url")}, ${DEFAULT_URL})`, collected)
    .addOption(
      new Option("--dialect <NAME>", "native or binance (default: what the URL's path speaks)").choices([
        "native",
        "binance",
      ]),
    )
    .option("-c, --connections <N>", "how many", number(1), DEFAULTS.connections)
    .option("--connect-rate <N>", "new connections per second", number(1), DEFAULTS.connectRate)
    .option("--subscribe <NAMES>", "channels, with commas; {symbol} is every symbol, c{0..9} is c0 to c9", collected)
    .option("--per-connection <N>", "so many of the channels for each connection, in turn (default: all)", number(1))
    .option("--by-url", "Binance: name the streams in the URL, not in a SUBSCRIBE")
    .option("--cadence <MS>", "native: at most one push in so many ms", number(0))
    .option("--duration <TIME>", "from when all are connected: 10m, 30s, 500ms (default: 30s; none with --messages)")
    .option("--messages <N>", "end when so many were received and verified in the window", number(1))
    .option("--fail-fast", "end at the first fault")
    .option("--warmup <TIME>", "behind the connecting and not measured yet (default: 1s)")
    .option("--slow <SHARE>", "connections that read slowly, such as 1%")
    .option("--slow-rate <RATE>", "how fast they read: 5% of what others get, or 10kB/s (default: 5%)")
    .option("--slow-buffer <SIZE>", "their SO_RCVBUF, or system (default: 64KiB)")
    .option("--jitter <DOWN/EVERY>", "cut off for DOWN in every EVERY, such as 1s/5s; native ones come back with since")
    .option("--jitter-share <SHARE>", "how many of the connections (default: 100%)")
    .option("--no-reconnect", "leave connections that the node closed")
    .addOption(
      new Option("--verify <LEVEL>", "none; chains, trade ids and a few books; or all books too")
        .choices(["none", "chains", "books"])
        .default("chains"),
    )
    .option("--local-address <LIST>", "source addresses, 127.0.0.2-127.0.0.9 (default: auto)")
    .option("--processes <N>", "default: one for each 18,000 connections", number(1))
    .option("--ca <FILE>", "wss: PEM of the authorities to trust")
    .option("--insecure", "wss: trust any certificate")
    .option("--json", "the report as one JSON object, no progress")
    .option("--max-p99 <MS>", "fail if message latency is above it", amount)
    .option("--max-connect-p99 <MS>", "fail if connecting takes longer", amount)
    .option("--min-connect-success <SHARE>", "fail if fewer connections succeed, such as 99.9%")
    .option("--min-rate <N>", "fail below so many messages per second", number(1))
    .option("--max-gaps <N>", "fail if the node tells of more gaps", number(0))
    .option("--max-closes <N>", "fail if the node ends more sessions", number(0))
    .addOption(new Option("--part", "one process of a larger run").hideHelp())
    .addHelpText("after", NOTES)
    .action(async (flags: LoadFlags) => ended(await load(flags, world)));
}

async function load(flags: LoadFlags, world: Surroundings): Promise<number> {
  const around = world.loadSurroundings();
  if (flags.part === true) {
    // Ctrl-C reaches every process of the terminal; this one ends when its parent says so.
    around.onEnd(() => undefined);
    await runChild(around.stdin(), world.out);
    return 0;
  }
  const options = await optionsOf(flags, world.env);
  const silent = { write: () => undefined, columns: () => null };
  const report = await runLoad(options, flags.json === true ? { ...around, progress: silent } : around);
  world.out(flags.json === true ? `${JSON.stringify(report)}\n` : `${reportText(report)}\n`);
  return report.ok ? 0 : 1;
}

async function optionsOf(flags: LoadFlags, env: Surroundings["env"]): Promise<LoadOptions> {
  const given = flags.url ?? [env[envName("url")] || DEFAULT_URL];
  const urls = given.map(nodeUrl);
  const dialect = flags.dialect ?? (urls.every(isBinance) ? "binance" : "native");
  const named = (flags.subscribe ?? []).join(",");
  const tls = { ca: flags.ca === undefined ? null : readPem("--ca", flags.ca), insecure: flags.insecure === true };
  const channels = await expandNames(named, () => marketSymbols(urls[0]!, dialect, tls));
  if (channels.length === 0) {
    throw new GatewayError(
      "USAGE",
      named === ""
        ? "--subscribe: say which channels, for example btcusdt@depth"
        : `--subscribe: the node knows no symbols for "${named}"`,
    );
  }
  const perConnection = flags.perConnection ?? null;
  if (dialect === "binance" && urls.some((url) => !url.includes("/stream"))) refuseLookAlikes(channels, perConnection);
  const read = <T>(
    text: string | undefined,
    reader: (flag: string, text: string) => T,
    flag: string,
    otherwise: T,
  ): T => (text === undefined ? otherwise : reader(flag, text));
  const { messages = null, slowBuffer } = flags;
  return {
    urls,
    dialect,
    connections: flags.connections,
    connectRate: flags.connectRate,
    channels,
    perConnection,
    byUrl: flags.byUrl === true && dialect === "binance",
    cadence: flags.cadence ?? null,
    durationMs: read<number | null>(
      flags.duration,
      readDuration,
      "duration",
      messages === null ? DEFAULTS.durationMs : null,
    ),
    messages,
    failFast: flags.failFast === true,
    warmupMs: read(flags.warmup, readDuration, "warmup", DEFAULTS.warmupMs),
    slowShare: read(flags.slow, readShare, "slow", 0),
    slowRate: read(flags.slowRate, readSlowRate, "slow-rate", DEFAULTS.slowRate),
    slowBufferBytes:
      slowBuffer === "system" ? null : read(slowBuffer, readBytes, "slow-buffer", DEFAULTS.slowBufferBytes),
    jitter: read<LoadOptions["jitter"]>(flags.jitter, readJitter, "jitter", null),
    jitterShare: read(flags.jitterShare, readShare, "jitter-share", 1),
    reconnect: flags.reconnect,
    verify: flags.verify,
    localAddresses: read<LoadOptions["localAddresses"]>(flags.localAddress, readAddresses, "local-address", "auto"),
    tls,
    processes: flags.processes ?? null,
    limits: {
      maxP99Ms: flags.maxP99 ?? null,
      maxConnectP99Ms: flags.maxConnectP99 ?? null,
      minConnectSuccess: read<number | null>(flags.minConnectSuccess, readShare, "min-connect-success", null),
      minRate: flags.minRate ?? null,
      maxGaps: flags.maxGaps ?? null,
      maxCloses: flags.maxCloses ?? null,
    },
  };
}

const BINANCE_PATHS = /^\/(ws|stream|stream-spot|public|market|private|fstream)(\/|$)/;

const isBinance = (url: string): boolean => {
  const { pathname } = new URL(url);
  return BINANCE_PATHS.test(pathname) && !pathname.startsWith("/ws/quote/");
};

const SYMBOL_TRIES = 5;

/** Binance streams have no prefix: a URL is of one market. A busy node is asked again. */
async function marketSymbols(
  url: string,
  dialect: LoadOptions["dialect"],
  { ca, insecure }: LoadOptions["tls"],
): Promise<readonly string[]> {
  const tls = { rejectUnauthorized: !insecure, ...(ca === null ? {} : { ca }) };
  let symbols: readonly string[] = [];
  for (let tries = 0; symbols.length === 0 && tries < SYMBOL_TRIES; tries++) {
    if (tries > 0) await Bun.sleep(500);
    symbols = await symbolsOf(httpOrigin(url), tls);
  }
  if (dialect === "native") return symbols;
  const usdm = /^\/(public|market|private|fstream)\b/.test(new URL(url).pathname);
  return symbols.filter((symbol) => symbol.startsWith("usdm:") === usdm).map((symbol) => symbol.replace(/^usdm:/, ""));
}

/** A raw connection does not name its streams: those that look the same there cannot be verified. */
function refuseLookAlikes(channels: readonly string[], perConnection: number | null): void {
  const pair = perConnection === 1 ? null : lookAlike(channels);
  if (pair === null) return;
  throw new GatewayError(
    "USAGE",
    `--subscribe: ${pair[0]} and ${pair[1]} look the same on a raw connection: take a URL with /stream, or --per-connection 1`,
  );
}

const NOTES = `
A fault is what a correct node never does: a break of a chain that nobody told, a trade missing or doubled, a crossed
or different book, a frame that is none. Gaps that the node tells are no faults. Exit status 1 if there is a fault or a
limit was missed. docs/load-testing.md has scenarios, tuning and what the report means.

Examples:
  tidegate load -c 1000 --subscribe btcusdt@depth,btcusdt@trade
  tidegate load -c 25000 --connect-rate 1000 --subscribe '{symbol}@trade' --per-connection 1 --duration 10m --slow 1%
  tidegate load -c 1000 --jitter 1s/5s --subscribe btcusdt@trade,btcusdt@depth --duration 2m
  tidegate load --url ws://127.0.0.1:8080/stream -c 500 --subscribe btcusdt@depth@100ms,btcusdt@trade --json
`;
