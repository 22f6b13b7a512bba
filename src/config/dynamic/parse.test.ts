import { expect, test } from "bun:test";
import { join } from "node:path";
import { dynamicContext } from "../../dynamic-context.ts";
import { parseDynamic } from "./parse.ts";

const context = dynamicContext();
const sample = await Bun.file(join(import.meta.dir, "../../../test/fixtures/original-sample.json")).text();

const parse = (document: unknown) => parseDynamic(JSON.stringify(document), context);

function mistakesOf(document: unknown): string[] {
  const parsed = typeof document === "string" ? parseDynamic(document, context) : parse(document);
  return "mistakes" in parsed ? parsed.mistakes.map(({ path, message }) => `${path}: ${message}`) : [];
}

test("dynamic config - the original sample loads byte for byte", () => {
  const parsed = parseDynamic(sample, context);
  if ("mistakes" in parsed) throw new Error(JSON.stringify(parsed.mistakes));
  const { datasource, topics, routes, mappers, instruments, limits } = parsed.config;
  expect(datasource.map(({ type, name }) => [type, name])).toEqual([
    ["kafka", "default_kafka"],
    ["nats", "default_nats"],
  ]);
  expect(datasource[1]?.properties.reconnect_time_wait).toBe(2);
  expect(topics).toEqual(JSON.parse(sample).topics);
  expect(routes[0]?.mappings[0]).toEqual({
    mapper: "trade_v1",
    source_topic: "fanout.trade.btcusdt",
    fanout_topic: "fanout.trade.btcusdt",
    ws_topic: "btcusdt@trade",
  });
  expect([mappers, instruments, limits]).toEqual([[], [], context.limits]);
});

test("dynamic config - every kind of mistake is named by its path, with what is wanted", () => {
  const cases: [unknown, ...string[]][] = [
    ["[]", ": want one JSON object with datasource, topics, routes, mappers, instruments, limits"],
    ['{"a":1,\n}', ": not JSON: the comma before it is one too many"],
    [{ route: [] }, 'route: no such field, did you mean "routes"?'],
    [{ routes: {} }, "routes: {} is wrong, want a list"],
    [{ topics: [{ topic: "a@b", rats: 1 }] }, 'topics[0].rats: no such field, did you mean "rate"?'],
    [{ limits: { sessionMax: 1 } }, 'limits.sessionMax: no such field, did you mean "sessionsMax"?'],
    [
      { limits: { pingAfterMs: 70_000 } },
      "limits.pingAfterMs: 70000 is wrong, want limits.pingAfterMs below limits.idleMsMax, so that a client is pinged before it is closed for silence",
    ],
  ];
  for (const [document, ...wanted] of cases) expect(mistakesOf(document)).toEqual(wanted);
});
