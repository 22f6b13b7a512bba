/**
 * The form of each entry of the dynamic configuration: types, allowed values, unknown fields. What entries mean to each
 * other is judged by the checks beside it. docs/config.schema.json is made from the same schemas (json-schema.ts).
 *
 * Invariant: a message says what is wanted, never what is wrong: the mistake's sentence puts both together.
 */
import { z } from "zod";
import { DECLARATIVE_KINDS, TIME_UNITS } from "../../ingest/mapper/declarative/mod.ts";
import { topicSchema } from "../topics.ts";
import { BROKER_TYPES, BUS_KINDS, ENTRY_VERSION } from "./types.ts";

const want = (sentence: string) => ({ error: () => sentence });
const oneOf = <const Names extends readonly string[]>(names: Names) =>
  z.enum(names, want(`one of ${names.join(", ")}`));
const text = (pattern: RegExp, wanted: string) => z.string(want(wanted)).regex(pattern, want(wanted));

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const name = text(NAME, "a name of 1 to 128 letters, digits and . _ : -");
const filled = (wanted: string) => z.string(want(wanted)).min(1, want(wanted));

export const VERSION_WANTED = `${ENTRY_VERSION}, the version of the form of this entry`;

const version = z
  .literal(ENTRY_VERSION, want(VERSION_WANTED))
  .default(ENTRY_VERSION)
  .describe("Version of the form of this entry.");

export const dataSourceSchema = z.strictObject(
  {
    version,
    type: oneOf(BROKER_TYPES).describe("What kind of broker it is."),
    name: name.describe("The name by which routes speak of it."),
    properties: z
      .record(z.string(), z.unknown(), want("an object with properties of the broker"))
      .default({})
      .describe("Properties of the broker in its own spelling and units (docs/sources.md)."),
  },
  want("an object with type, name and properties"),
);

export const mappingSchema = z.strictObject(
  {
    mapper: filled("the name of a mapper").describe("A built-in mapper (docs/mapping.md) or one of `mappers`."),
    source_topic: filled("a Kafka topic, NATS subject or stream key")
      .optional()
      .describe("Kafka topic, NATS subject or stream key to read; may hold {symbol}. Without: the fanout_topic."),
    fanout_topic: filled("words joined by dots, such as fanout.trade.btcusdt").describe(
      "Topic on the bus between nodes; may hold {symbol}.",
    ),
    ws_topic: filled("a channel name such as btcusdt@trade or {symbol}@trade").describe(
      "Channel that clients subscribe to; {symbol} stands for every instrument.",
    ),
    bus: oneOf(BUS_KINDS).optional().describe("Bus of this mapping; without: the node's."),
  },
  want("an object with mapper, fanout_topic and ws_topic"),
);

export const routeSchema = z.strictObject(
  {
    id: name.describe("Names the route in shards, logs and metrics; unique."),
    version,
    peer_id: text(/^[0-9a-f]{64}$/, "the sha256 of a node's name in hex: 64 of the digits 0-9 and a-f")
      .optional()
      .describe(
        "The node that owns the route's shards: sha256 of its name in hex. Without: all ingest nodes share them.",
      ),
    data_source: filled("the name of a data source").describe("Name of an entry of `datasource`."),
    mappings: z.array(mappingSchema, want("a list of mappings")).min(1, want("at least one mapping")),
  },
  want("an object with id, data_source and mappings"),
);

const constant = z.union([z.string(), z.number(), z.boolean()], want("a text, a number, true or false"));
const path = filled("a path such as data.p or levels[0]");
const when = z.record(
  z.string(),
  z.union([constant, z.array(constant)], want("a text, a number, true, false, or a list of these")),
  want('an object of paths and the values that must stand there, such as {"e":"trade"}'),
);

const fieldSchema = z.union(
  [
    path.describe("Path in the record."),
    z.strictObject({
      path: path.optional(),
      const: constant.optional().describe("The same for every record."),
      values: z
        .record(z.string(), constant, want('an object such as {"B":"buy","S":"sell"}'))
        .optional()
        .describe("The record's values and ours."),
      unit: oneOf(TIME_UNITS).optional().describe("Unit of a time (ms)."),
      default: constant.optional().describe("Where the path leads to nothing."),
    }),
    z.strictObject({
      path,
      price: path.optional().describe("Path inside a level ([0])."),
      quantity: path.optional().describe("Path inside a level ([1])."),
      when: when.optional().describe("Only levels for which it holds."),
    }),
  ],
  want('a path such as "data.p", or an object with path or const'),
);

export const mapperSchema = z.strictObject(
  {
    version,
    name: name.describe("The name by which mappings speak of it; unique, and none of the built-in ones."),
    kind: oneOf(DECLARATIVE_KINDS).describe("What its updates are."),
    when: when.optional().describe("Records for which it does not hold are none of this mapper's."),
    items: path.optional().describe("A list in the record; `fields` are read in each element."),
    fields: z
      .record(z.string(), fieldSchema, want("an object: fields of our canonical JSON and where they stand"))
      .describe("Fields of our canonical JSON (docs/mapping.md) and where they stand in the record."),
  },
  want("an object with name, kind and fields"),
);

const decimal = text(/^(?=.*[1-9])(0|[1-9]\d*)(\.\d+)?$/, 'a decimal above 0 as text, such as "0.01"');

export const instrumentSchema = z.strictObject(
  {
    version,
    market: text(/^[a-z0-9]{1,32}$/, "a market in lower case, for example spot")
      .optional()
      .describe("Without: the node's default market."),
    symbol: filled("a symbol as the source spells it, such as BTC/USDT")
      .optional()
      .describe("As the source spells it; in channel names it is its letters and digits in lower case."),
    spelling: filled("the source's spelling, such as BTC/USDT").optional().describe("The same as symbol."),
    base: filled("an asset such as BTC").optional(),
    quote: filled("an asset such as USDT").optional(),
    tick: decimal.optional().describe("Smallest step of prices. Without tick and lot both are learned from the data."),
    lot: decimal.optional().describe("Smallest step of quantities."),
    status: oneOf(["trading", "halt", "auction", "delisted"]).optional().describe("Without: trading."),
  },
  want("an object with symbol"),
);

/** The lists of the document with the form of their entries. */
export const LISTS = {
  datasource: dataSourceSchema,
  topics: topicSchema,
  routes: routeSchema,
  mappers: mapperSchema,
  instruments: instrumentSchema,
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type ListName = keyof typeof LISTS;

/** Every field of the document. */
export const FIELDS: readonly string[] = ["$schema", ...Object.keys(LISTS), "limits"];
