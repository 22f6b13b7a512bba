/**
 * The command line: commands, flags and help.
 *
 * Invariants: a wrong command, flag or value is one line on stderr and exit status 2.
 */
import { Command, CommanderError, Option } from "commander";
import { CONFIG_FLAG, envName, SETTINGS } from "../config/settings.ts";
import { GatewayError } from "../lib/errors.ts";
import { addConfig, type ConfigWorld } from "./config/command.ts";
import { adminUrl, drain } from "./drain.ts";
import { addLoad, type LoadSurroundings } from "./load.ts";
import { readPem } from "./pem.ts";
import { record } from "./record.ts";
import { type StartNode, serve } from "./serve.ts";
import type { Stdout } from "./stdout.ts";
import { type TailWorld, tail } from "./tail/tail.ts";
import { DEFAULT_URL, nodeUrl } from "./tail/url.ts";
import { collected, number } from "./values.ts";
import { versionLine } from "./version.ts";

export interface CliWorld {
  readonly env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  err(text: string): void;
  /** Where `out` goes, if that can fail. */
  readonly stdout?: Pick<Stdout, "settled" | "fault">;
  /** Only `serve` needs it, and it is big. */
  loadNode(): Promise<StartNode>;
  loadConfigTools: ConfigWorld["loadConfigTools"];
  tailWorld(): TailWorld;
  loadSurroundings(): LoadSurroundings;
}

/** Errors of GatewayError that a person mends by typing something else. */
const USAGE_CODES = [
  "CONFIG",
  "USAGE",
  "SYNTHETIC",
  "BAD_OPTION",
  "REPLAY_FILE",
  "REPLAY_FORMAT",
  "REPLAY_VENUE",
  "UPSTREAM",
  "BROKER_PROPERTIES",
  "NATS_ADDRESS",
  "TLS",
];

/** Runs one command line (without the program's own name) and resolves with the exit status. */
export async function run(args: readonly string[], world: CliWorld): Promise<number> {
  let status = 0;
  const program = build(world, (ended) => {
    status = ended;
  });
  try {
    await program.parseAsync(args.length === 0 ? ["--help"] : args, { from: "user" });
    return await written(status, world);
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return await written(0, world);
      const command = commandOf(program, args);
      const isBare = error.code === "commander.help";
      world.err(`tidegate: ${isBare ? bareText(command) : oneLine(error.message, nameOf(command))}\n`);
      return 2;
    }
    if (!(error instanceof GatewayError)) throw error;
    world.err(`tidegate: ${error.message}\n`);
    return USAGE_CODES.includes(error.code) ? 2 : 1;
  }
}

/** What was to be printed and could not be is a failure, whatever else went well. */
async function written(status: number, world: Pick<CliWorld, "err" | "stdout">): Promise<number> {
  await world.stdout?.settled();
  const fault = world.stdout?.fault ?? null;
  if (fault === null) return status;
  world.err(`tidegate: cannot write the output: ${fault}\n`);
  return 1;
}

/** The command that a command line means, as far as its words name one. */
function commandOf(program: Command, args: readonly string[]): Command {
  let command = program;
  for (const word of args) {
    const next = command.commands.find((one) => one.name() === word);
    if (next === undefined) break;
    command = next;
  }
  return command;
}

/** `tidegate config validate`. */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

function bareText(command: Command): string {
  const names = command.commands.map((one) => one.name()).filter((name) => name !== "help");
  return `${command.name()}: say what: ${names.join(", ")} (${nameOf(command)} --help tells more)`;
}

/** `error: unknown option '--prot'\n(Did you mean --port?)` on one line, with where to look. */
function oneLine(message: string, command: string): string {
  const text = message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  return text.includes("--help") || text.includes("Did you mean") ? text : `${text} (${command} --help tells more)`;
}

function build(world: CliWorld, ended: (status: number) => void): Command {
  const program = new Command("tidegate")
    .description("WebSocket gateway for market data: in order, encoded once, nothing lost silently.")
    .exitOverride()
    .configureOutput({ writeOut: world.out, writeErr: () => undefined, outputError: () => undefined })
    .configureHelp({ showGlobalOptions: false })
    .helpCommand("help [command]", "the flags of a command")
    .addHelpText("after", EXAMPLES);
  program.version(versionLine(world.env), "-V, --version", "same as the command");

  const serving = program
    .command("serve")
    .description("run a node (npm start does this)")
    .addOption(new Option(`--${CONFIG_FLAG.flag} <${CONFIG_FLAG.value}>`, CONFIG_FLAG.help))
    .addHelpText("after", SERVE_NOTES)
    .action(async (flags: Record<string, unknown>) => ended(await serve(flags, world.loadNode)));
  for (const { flag, value, help, group } of SETTINGS) {
    const option = new Option(value === "" ? `--${flag}` : `--${flag} <${value}>`, help);
    serving.addOption(group === undefined ? option : option.helpGroup(group));
  }

  program
    .command("tail")
    .description("watch channels of a node live")
    .argument("<channel...>", "for example btcusdt@depth btcusdt@trade")
    .option("--json", "one push per line, as it came, for pipes")
    .option("--url <URL>", `the node: a port, host:port or URL (${envName("url")}, ${DEFAULT_URL})`)
    .option("--ca <FILE>", "PEM of the authorities to trust for wss:// (the system's)")
    .option("--cadence <MS>", "at most one push in so many ms; what is merged stays exact", number(0))
    .option("-n, --count <N>", "end after so many pushes", number(1))
    .addHelpText("after", TAIL_EXAMPLES)
    .action(
      async (
        channels: string[],
        flags: { json?: true; url?: string; ca?: string; cadence?: number; count?: number },
      ) => {
        const url = nodeUrl(flags.url ?? (world.env[envName("url")] || DEFAULT_URL));
        const { json = false, cadence = null, count = null } = flags;
        const ca = flags.ca === undefined ? null : readPem("--ca", flags.ca);
        ended(await tail({ url, channels, cadence, ca, json, count }, world.tailWorld()));
      },
    );

  program
    .command("record")
    .description("write what an upstream sends into a file that serve --replay plays")
    .argument(
      "<source or url>",
      "kraken:BTC/USD,ETH/USD, or wss://host/path (replayed if it speaks as one of the venues)",
    )
    .requiredOption(
      "--out <FILE>",
      "the file, replaced if it exists; a venue with several connections makes one more for each",
    )
    .option("--seconds <N>", "end after so long", number(1))
    .option("-n, --count <N>", "end after so many records", number(1))
    .option("--send <TEXT>", "send this to the URL when it is connected (may be repeated)", collected)
    .option("--upstream-url <URL>", "the venue's WebSocket address, for a proxy")
    .option("--upstream-rest <URL>", "the venue's REST address")
    .option("--upstream-ca <FILE>", "PEM of the authorities to trust for both")
    .addHelpText("after", RECORD_EXAMPLES)
    .action(async (what: string, flags: RecordFlags) => {
      const {
        out,
        send = [],
        seconds = null,
        count = null,
        upstreamUrl: url,
        upstreamRest: rest,
        upstreamCa: ca,
      } = flags;
      const addresses = { ...(url && { url }), ...(rest && { rest }), ...(ca && { ca }) };
      const { onEnd } = world.tailWorld();
      ended(await record({ what, out, send, seconds, count, ...addresses }, { err: world.err, onEnd }));
    });

  program
    .command("drain")
    .description("close all sessions of a node in order, then end it")
    .option("--admin-url <URL>", `its admin server: a port, host:port or URL (${envName("admin-url")}, 9090)`)
    .option("--seconds <N>", "over how long (as the node is set up: --drain-seconds)", number(0))
    .option("--no-wait", "do not wait for its end")
    .addHelpText("after", DRAIN_EXAMPLES)
    .action(async (flags: { adminUrl?: string; seconds?: number; wait: boolean }) => {
      const named = flags.adminUrl ?? world.env[envName("admin-url")];
      const admin = adminUrl(named || world.env[envName("admin-port")] || "9090");
      const { seconds = null, wait } = flags;
      ended(
        await drain({ admin, seconds, wait }, { out: world.out, nowMs: () => performance.now(), sleep: Bun.sleep }),
      );
    });

  addLoad(program, world, ended);
  addConfig(program, world, ended);

  program
    .command("version")
    .description("print version, Bun version and commit")
    .action(() => world.out(`${versionLine(world.env)}\n`));
  return program;
}

interface RecordFlags {
  readonly out: string;
  readonly send?: readonly string[];
  readonly seconds?: number;
  readonly count?: number;
  readonly upstreamUrl?: string;
  readonly upstreamRest?: string;
  readonly upstreamCa?: string;
}

const EXAMPLES = `
Examples:
  tidegate serve                                  a node with the simulated exchange on ports 8080 and 9090
  tidegate serve --replay feed.txt --speed 10     the same with a recorded feed, ten times faster
  tidegate serve --upstream kraken:BTC/USD        the same with another exchange's public feed
  tidegate tail btcusdt@depth                     a live order book
  tidegate tail --json btcusdt@trade | jq .data   trades for a program
  tidegate load --subscribe btcusdt@depth         many clients at once, each of them verified
  tidegate config validate routes.json            every mistake of a dynamic configuration

tidegate <command> --help tells the flags of a command.
`;

const SERVE_NOTES = `
Every flag is also a variable, --admin-port is TIDEGATE_ADMIN_PORT, and a field of the config file.
Flags win over variables, variables over the file.
The rarer limits, and the settings of single topics, are fields of the file only: docs/limits.md.

Examples:
  tidegate serve --port 8100 --admin-port 9100
  tidegate serve --sim-rate 20000 --seed 7
  tidegate serve --synthetic channels=10,rate=30,size=200,spread
  TIDEGATE_LOG_FORMAT=json tidegate serve --config tidegate.json
`;

const RECORD_EXAMPLES = `
Examples:
  tidegate record kraken:BTC/USD,ETH/USD --out kraken.txt --seconds 60
  tidegate record binance:BTCUSDT --out binance.txt -n 10000
  tidegate record wss://ws.kraken.com --send '{"event":"subscribe",...}' --out kraken.txt
  tidegate serve --replay kraken.txt
`;

const DRAIN_EXAMPLES = `
New WebSockets are refused at once, every client is told, and each is closed 1012 at a moment of its own, so that they
do not come back all together. SIGTERM to the process does the same.

Examples:
  tidegate drain
  tidegate drain --admin-url 9190 --seconds 60
`;

const TAIL_EXAMPLES = `
Streams: depth, depth5, depth10, depth20, trade, aggTrade, bookTicker, ticker, miniTicker, kline_1m (1s to 1M);
usdm:<symbol>@markPrice and other streams of the usdm market; bare topics.

Examples:
  tidegate tail btcusdt@depth ethusdt@trade
  tidegate tail btcusdt@depth --cadence 500
  tidegate tail --url gateway.example.com:8080 usdm:btcusdt@markPrice
  tidegate tail --url wss://gateway.example.com --ca ca.pem btcusdt@trade
  tidegate tail --json -n 10 btcusdt@trade
`;
