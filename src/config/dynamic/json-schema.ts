/**
 * The JSON Schema of the dynamic configuration, for editors: made from the schemas that judge it and the tables of what
 * brokers understand. docs/config.schema.json is its text (npm run docs).
 */
import { z } from "zod";
import type { BrokerProperty } from "../../ingest/broker.ts";
import { limitsSchema } from "../limits.ts";
import { LISTS } from "./schema.ts";
import { BROKER_TYPES, type DynamicContext } from "./types.ts";

type Schema = Record<string, unknown>;

export function configJsonSchema({ properties, mappers }: Pick<DynamicContext, "properties" | "mappers">): Schema {
  const document = z.strictObject({
    $schema: z.string().optional().describe("Address of this schema, for editors."),
    datasource: z.array(LISTS.datasource).optional().describe("Brokers that are read."),
    topics: z.array(LISTS.topics).optional().describe("Settings of single channels or templates of them."),
    routes: z.array(LISTS.routes).optional().describe("What is read from where, and which channels it feeds."),
    mappers: z.array(LISTS.mappers).optional().describe("Declarative mappers, beside the built-in ones."),
    instruments: z.array(LISTS.instruments).optional().describe("Instruments; a market without any learns its own."),
    limits: limitsSchema.optional().describe("Limits, in place of the node's."),
  });
  const schema = z.toJSONSchema(document, { io: "input", override: withoutDefaults }) as Schema;
  const lists = schema.properties as Record<string, Schema>;
  const source = lists.datasource?.items as Schema;
  lists.datasource = { ...lists.datasource, items: withProperties(source, properties) };
  const mapping = within(lists.routes, "items", "properties", "mappings", "items", "properties");
  mapping.mapper = { ...(mapping.mapper as Schema), examples: mappers.map(({ name }) => name) };
  return { title: "Tidegate configuration", ...schema };
}

/** Editors would write defaults down; what they are is in the descriptions. */
function withoutDefaults({ jsonSchema }: { jsonSchema: Schema }): void {
  delete jsonSchema.default;
}

function within(schema: Schema | undefined, ...path: string[]): Schema {
  return path.reduce<Schema>((at, step) => at[step] as Schema, schema ?? {});
}

/** For each type of broker its own properties. */
function withProperties(source: Schema, tables: DynamicContext["properties"]): Schema {
  return {
    ...source,
    allOf: BROKER_TYPES.map((type) => ({
      if: { type: "object", properties: { type: { const: type } }, required: ["type"] },
      // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
      then: {
        type: "object",
        properties: {
          properties: { type: "object", properties: Object.fromEntries(tables[type].flatMap(propertiesOf)) },
        },
      },
    })),
  };
}

const TYPES: Readonly<Record<BrokerProperty["type"], Schema>> = {
  string: { type: ["string", "number", "null"] },
  strings: { type: ["array", "string", "null"], items: { type: "string" } },
  number: { type: ["number", "string", "null"] },
  boolean: { type: ["boolean", "string", "null"] },
  object: { type: ["object", "boolean", "null"] },
};

/** Under its name and those that other clients have for it. */
function propertiesOf({ name, type, default: standard, what, aliases = [] }: BrokerProperty): [string, Schema][] {
  const schema = { ...TYPES[type], description: standard === "" ? what : `${what} Default: ${standard}.` };
  return [[name, schema], ...aliases.map((alias): [string, Schema] => [alias, { ...schema, deprecated: true }])];
}

/** As it stands in docs/config.schema.json. */
export const schemaText = (context: Pick<DynamicContext, "properties" | "mappers">): string =>
  `${JSON.stringify(configJsonSchema(context), null, 2)}\n`;
