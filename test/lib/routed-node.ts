/** Nodes inside the test's process that run the routes of a configuration, and what such a configuration looks like. */
import { loadStaticConfig } from "../../src/config/load.ts";
import { silentLog } from "../../src/lib/log.ts";
import { type Node, type NodeDeps, startNode } from "../../src/node.ts";
import { TempFolder } from "./temp-folder.ts";
import { type Flags, TestNode } from "./test-node.ts";

/** Trades and books of every symbol through the Kafka topics `trades` and `books`. */
export const MARKET = {
  datasource: [{ version: 1, type: "kafka", name: "k", properties: { "bootstrap.servers": "kafka:9092" } }],
  routes: [
    {
      id: "r1",
      version: 1,
      data_source: "k",
      mappings: [
        {
          mapper: "trade_v1",
          source_topic: "trades",
          fanout_topic: "fanout.trade.{symbol}",
          ws_topic: "{symbol}@trade",
        },
        {
          mapper: "depth_v2",
          source_topic: "books",
          fanout_topic: "fanout.depth.{symbol}",
          ws_topic: "{symbol}@depth",
        },
      ],
    },
  ],
};

/** `symbol`: as the source spells it. */
export const tradeOf = (symbol: string, id: number) => ({
  symbol,
  ...{ id, price: "100.5", quantity: "1.25", side: "buy", time: 1_767_225_600_000 + id },
});

type Sides = {
  readonly bids: readonly (readonly [string, string])[];
  readonly asks: readonly (readonly [string, string])[];
};

export const bookOf = (symbol: string, type: "snapshot" | "delta", time: number, sides: Sides) => ({
  symbol,
  type,
  time: 1_767_225_600_000 + time,
  ...sides,
});

/** A node over a configuration in a file of its own. */
export class RoutedNode extends TestNode {
  readonly #folder: TempFolder;

  constructor(node: Node, folder: TempFolder) {
    super(node);
    this.#folder = folder;
  }

  /** Another configuration in the same file. */
  write(document: unknown): void {
    this.#folder.write(FILE, JSON.stringify(document));
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}

const FILE = "config.json";

/** `flags` as for startTestNode. */
export async function startRoutedNode(document: unknown, flags: Flags, deps: NodeDeps): Promise<RoutedNode> {
  const folder = new TempFolder();
  const configStore = folder.write(FILE, JSON.stringify(document));
  const defaults = { port: "0", adminPort: "0", workers: "1", ringBytes: "16MiB", outboxAgeMsMax: "30000" };
  const { config } = loadStaticConfig({ ...defaults, configStore, ...flags }, {});
  return new RoutedNode(await startNode(config, { log: silentLog, ...deps }), folder);
}
