/**
 * A whole node inside the test's process: real workers, real sockets, free ports, a silent log.
 *
 * `await using node = await startTestNode({..})` stops it, and closes every client made through it, at the end of the
 * block.
 */
import { join } from "node:path";
import { loadStaticConfig } from "../../src/config/load.ts";
import { silentLog } from "../../src/lib/log.ts";
import { type Node, startNode } from "../../src/node.ts";
import { BinanceClient } from "./binance-client.ts";
import { NativeClient } from "./native-client.ts";
import { waitFor } from "./wait.ts";

/**
 * `config` of a node that is patient with slow clients: where what a client saw in real time is the truth, it must not be
 * slowed because the machine is busy with other things and its process reads late.
 */
export const PATIENT = join(import.meta.dir, "patient.json");

/** As on the command line, in camel case: `{ replay: "file", speed: "max" }`. */
export type Flags = Readonly<Record<string, string | boolean>>;

/** Part of what /readyz says. */
export interface Readiness {
  readonly ready: boolean;
  readonly parts: Readonly<
    Record<string, { readonly state: string; readonly reason: string; readonly [detail: string]: unknown }>
  >;
}

export class TestNode implements AsyncDisposable {
  readonly node: Node;
  readonly #closing: (() => void)[] = [];

  constructor(node: Node) {
    this.node = node;
  }

  /** `http://127.0.0.1:<port>` */
  get http(): string {
    if (this.node.publicUrl === null) throw new Error("this node has no edge");
    return this.node.publicUrl;
  }

  get ws(): string {
    return this.http.replace("http", "ws");
  }

  get port(): number {
    return Number(new URL(this.http).port);
  }

  get admin(): string {
    if (this.node.adminUrl === null) throw new Error("this node has no admin role");
    return this.node.adminUrl;
  }

  /** A connected native client. */
  async native(): Promise<NativeClient> {
    const client = await NativeClient.connect(`${this.ws}/ws/quote/v1`);
    this.#closing.push(() => client.close());
    return client;
  }

  /** A connected Binance client; the path names streams or none: `/ws`, `/stream?streams=..`. */
  async binance(path: string): Promise<BinanceClient> {
    const client = await BinanceClient.connect(this.ws + path);
    this.#closing.push(() => client.close());
    return client;
  }

  /** As its workers have counted within the last second. */
  get sessions(): number {
    return this.node.parts.edge?.counters().sessions ?? 0;
  }

  async readiness(): Promise<Readiness> {
    return (await (await fetch(`${this.admin}/readyz`)).json()) as Readiness;
  }

  /** Sum of a metric's samples whose labels contain `labels`. */
  async metric(name: string, labels = ""): Promise<number> {
    const text = await (await fetch(`${this.admin}/metrics`)).text();
    const samples = text.split("\n").filter((line) => line.startsWith(name) && /^[{ ]/.test(line.slice(name.length)));
    return samples
      .filter((line) => line.includes(labels))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  }

  /** A shard's counters and state, by its place. */
  shard(at = 0) {
    const shard = this.node.parts.shards[at];
    if (shard === undefined) throw new Error(`this node has no shard ${at}`);
    return shard.status();
  }

  /** Once a replay has handed on its last record. */
  async ended(): Promise<void> {
    await waitFor(
      () => this.shard().source.state.name === "ended",
      () => `the replay ends: ${JSON.stringify(this.shard().source)}`,
    );
  }

  /** Once so many instruments are known (a replay's are learned from its records). */
  async instruments(count: number): Promise<void> {
    await waitFor(
      () => this.node.parts.registry.list().length >= count,
      () => `${count} instruments are known, not ${this.node.parts.registry.list().length}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing) close();
    await this.node.stop();
  }
}

const hasBegun = (state: string): boolean => state !== "idle" && state !== "connecting";

export async function startTestNode(flags: Flags = {}): Promise<TestNode> {
  const defaults = { port: "0", adminPort: "0", workers: "1", ringBytes: "16MiB", nodeId: "test" };
  // Clients here are part of a test process that a busy machine may hold up. Tests of slow clients have a config file.
  const patient = "config" in flags ? {} : { outboxAgeMsMax: "30000" };
  const { config } = loadStaticConfig({ ...defaults, ...patient, ...flags }, {});
  const node = new TestNode(await startNode(config, { log: silentLog }));
  // The node waits for its sources too, but not for ever: a busy machine may need longer for the simulated history.
  const begun = () => node.node.parts.shards.every((shard) => hasBegun(shard.status().source.state.name));
  await waitFor(begun, "the sources have begun", 30_000);
  return node;
}
