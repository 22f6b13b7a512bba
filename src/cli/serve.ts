/**
 * `tidegate serve`: loads the configuration, runs a node until a signal or the node itself ends it.
 *
 * Invariants: whatever keeps a node from starting is one line on stderr and an exit status: 2 for a wrong flag, variable,
 * file or value, 1 for what the machine refuses. SIGTERM drains, SIGINT does so quickly, a second one stops at once.
 */
import { loadStaticConfig } from "../config/load.ts";
import type { StaticConfig } from "../config/static.ts";
import { GatewayError } from "../lib/errors.ts";
import { createLog, isPretty, type Log } from "../lib/log.ts";
import { checkPorts } from "./ports.ts";
import { watchSignals } from "./signals.ts";
import { symbolsOf } from "./symbols.ts";
import { VERSION } from "./version.ts";

/** What the composition root gives. */
export interface RunningNode {
  /** `http://127.0.0.1:8080`; null without an edge. */
  readonly publicUrl: string | null;
  /** Null without the role admin. */
  readonly adminUrl: string | null;
  drain(ms: number, cause: string): Promise<void>;
  reload(): Promise<void>;
  /** Settles when the node has ended; rejects when it failed. */
  readonly done: Promise<void>;
}

export type StartNode = (config: StaticConfig, deps: { readonly log: Log }) => Promise<RunningNode>;

/** What a person at a terminal waits for. */
const QUICK_DRAIN_MS = 500;

/** `loadNode`: the node is big, and is loaded only for a config that is right. */
export async function serve(
  flags: Readonly<Record<string, unknown>>,
  loadNode: () => Promise<StartNode>,
): Promise<number> {
  const { config, warnings } = loadStaticConfig(flags, process.env);
  checkPorts(config);
  const log = createLog(config.log);
  for (const warning of warnings) log.warn(warning);
  const signals = watchSignals(config.tls === undefined && process.stdout.isTTY === true);
  try {
    const startNode = await loadNode();
    const node = await startNode(config, { log });
    await announce(config, node, log);
    signals.onReload(() => {
      log.info("reloading", { signal: "SIGHUP" });
      node.reload().catch((error: unknown) => log.error("the reload failed", { error }));
    });
    const name = await Promise.race([signals.stop, node.done.then(() => null)]);
    if (name !== null) {
      log.info("stopping", { signal: name });
      await node.drain(name === "SIGTERM" ? config.drainSeconds * 1000 : QUICK_DRAIN_MS, name);
    }
    await node.done;
    log.flush();
    return 0;
  } catch (error) {
    // An operating error is told by the caller in one line; anything else is our fault and needs its stack.
    if (!(error instanceof GatewayError)) log.error("the node failed", { error });
    log.flush();
    throw error;
  }
}

/** Where the node is and what to try: a few lines for a person, one line for a log. */
async function announce(config: StaticConfig, { publicUrl, adminUrl }: RunningNode, log: Log): Promise<void> {
  const command =
    publicUrl === null ? null : `npm run tail ${await channelToTry(config, publicUrl)}${urlFlag(publicUrl)}`;
  if (!isPretty(config.log.format, process.stdout.isTTY === true)) {
    log.info("node is up", { version: VERSION, public: publicUrl, admin: adminUrl, try: command });
    return;
  }
  const lines = [`tidegate ${VERSION}, node ${config.nodeId}, ${describeSource(config)}`, ""];
  if (publicUrl !== null) {
    const ws = publicUrl.replace(/^http/, "ws");
    lines.push(`  public  ${ws}/ws/quote/v1   native`, `          ${ws}/ws   Binance, REST at ${publicUrl}/api/v3`);
  }
  if (adminUrl !== null) lines.push(`  admin   ${adminUrl}`);
  if (command !== null) lines.push(`  try     ${command}`);
  process.stdout.write(`${lines.join("\n")}\n\n`);
}

function urlFlag(publicUrl: string): string {
  const { protocol, hostname, port } = new URL(publicUrl);
  if (protocol === "http:" && port === "8080" && hostname === "127.0.0.1") return "";
  const local = hostname === "127.0.0.1" || hostname === "0.0.0.0";
  if (protocol === "https:") return ` -- --url wss://${local ? "localhost" : hostname}:${port}`;
  return ` -- --url ${local ? port : `${hostname}:${port}`}`;
}

/** It is our own node that is asked, whomever its certificate names. */
const OURS = { rejectUnauthorized: false };

/** A channel that exists; a replay's instruments are in its first records. */
async function channelToTry({ source, configStore }: StaticConfig, publicUrl: string): Promise<string> {
  if (configStore !== undefined) {
    const [symbol = "SYMBOL"] = await symbolsOf(publicUrl, OURS);
    return `${symbol}@trade`;
  }
  if (source.kind === "sim") return "btcusdt@depth";
  if (source.kind === "synthetic") return "c0";
  for (let tries = 0; tries < 40; tries += 1) {
    const [symbol] = await symbolsOf(publicUrl, OURS);
    if (symbol !== undefined) return `${symbol}@depth`;
    await Bun.sleep(50);
  }
  return "SYMBOL@depth";
}

function describeSource({ source, configStore }: StaticConfig): string {
  if (configStore !== undefined) return `routes of ${configStore.path}`;
  if (source.kind === "sim") return `simulated exchange (${source.rate} updates/s in each market, seed ${source.seed})`;
  if (source.kind === "replay") {
    const speed = source.speed === Number.POSITIVE_INFINITY ? "as fast as possible" : `${source.speed} times real time`;
    return `replay of ${source.path} (${speed}${source.loop ? ", looping" : ""})`;
  }
  if (source.kind === "websocket") return `upstream ${source.upstream}`;
  const { channels, rate, size, spread } = source.shape;
  return `synthetic (${channels} channels, ${rate}/s each, ${size} bytes${spread ? ", spread" : ""})`;
}
