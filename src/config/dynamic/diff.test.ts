import { expect, test } from "bun:test";
import { dynamicContext } from "../../dynamic-context.ts";
import { changeOf } from "./diff.ts";
import { parseDynamic } from "./parse.ts";
import type { DynamicConfig } from "./types.ts";

const mapper = (name: string, price = "p") => ({
  name,
  kind: "trade",
  fields: { time: "t", price, quantity: "q", side: { const: "buy" } },
});

function configOf(document: Record<string, unknown>): DynamicConfig {
  const parsed = parseDynamic(JSON.stringify(document), dynamicContext());
  if ("mistakes" in parsed) throw new Error(JSON.stringify(parsed.mistakes));
  return parsed.config;
}

const routed = (name: string, more: Record<string, unknown> = {}) => ({
  datasource: [{ type: "nats", name: "n" }],
  routes: [{ id: "r", data_source: "n", mappings: [{ mapper: name, fanout_topic: "f", ws_topic: "{symbol}@trade" }] }],
  mappers: [mapper(name)],
  ...more,
});

test("config change - the same document changes nothing", () => {
  const config = configOf(routed("m"));
  expect(changeOf(config, configOf(routed("m")))).toEqual({ running: config, live: [], restart: [] });
});

test("config change - a mapper is live, the routes wait, and a mapper they still use stays", () => {
  const before = configOf(routed("m"));
  const change = changeOf(before, configOf(routed("m", { mappers: [mapper("m", "x"), mapper("spare")] })));
  expect(change.live).toEqual([{ part: "mappers", names: ["m", "spare"] }]);
  expect(change.running.mappers[0]?.fields.price).toBe("x");
  const renamed = changeOf(before, configOf(routed("other")));
  expect(renamed.live).toEqual([{ part: "mappers", names: ["other"] }]);
  expect(renamed.restart).toEqual([
    { part: "routes", names: ["r"] },
    { part: "mappers", names: ["m"] },
  ]);
  expect(renamed.running.routes).toEqual(before.routes);
  expect(renamed.running.mappers.map(({ name }) => name)).toEqual(["other", "m"]);
  expect(changeOf(renamed.running, configOf(routed("m"))).restart).toEqual([]);
});

test("config change - instruments and limits by name, what is gone included", () => {
  const before = configOf({ instruments: [{ spelling: "BTC/USD" }, { spelling: "ETH/USD" }], limits: { deny: [] } });
  const after = configOf({
    instruments: [{ spelling: "BTC/USD", status: "halt" }],
    limits: { deny: ["::1"], commands: { native: { burst: 5 } } },
  });
  expect(changeOf(before, after).live).toEqual([
    { part: "instruments", names: ["spot:btcusd", "spot:ethusd"] },
    { part: "limits", names: ["deny", "commands.native.burst"] },
  ]);
});
