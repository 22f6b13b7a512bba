/** Checks of the lists one by one: names that stand there twice, instruments, properties of brokers. */
import { isMarket, parseChannelName, symbolOf } from "../../channel/name.ts";
import { canonicalTopic } from "../../channel/topic-settings.ts";
import type { BrokerProperty } from "../../ingest/broker.ts";
import { judgeDeclarative } from "../../ingest/mapper/declarative/mod.ts";
import { nearest } from "../../lib/nearest.ts";
import type { Mistakes } from "./mistakes.ts";
import { entriesOf, isRaw, type Raw, spellingOf, textOf } from "./raw.ts";
import { BROKER_TYPES, type DynamicContext } from "./types.ts";

export function checkLists(document: Raw, context: DynamicContext, mistakes: Mistakes, warnings: Mistakes): void {
  checkTwice(document, "datasource", "name", mistakes);
  checkTwice(document, "topics", "topic", mistakes, (topic) => canonicalTopic(topic, context.defaultMarket));
  checkTwice(document, "routes", "id", mistakes);
  checkTwice(document, "mappers", "name", mistakes);
  checkMappers(document, context, mistakes);
  checkInstruments(document, context, mistakes);
  checkProperties(document, context, mistakes, warnings);
}

function checkTwice(
  document: Raw,
  list: string,
  field: string,
  mistakes: Mistakes,
  canonical: (name: string) => string = (name) => name,
): void {
  const first = new Map<string, number>();
  for (const { index, entry } of entriesOf(document, list)) {
    const name = textOf(entry, field);
    if (name === null) continue;
    const before = first.get(canonical(name));
    if (before === undefined) first.set(canonical(name), index);
    else mistakes.add([list, index, field], `${JSON.stringify(name)} is that of ${list}[${before}] too, leave one out`);
  }
}

function checkMappers(document: Raw, context: DynamicContext, mistakes: Mistakes): void {
  for (const { index, entry } of entriesOf(document, "mappers")) {
    for (const { path, message } of judgeDeclarative(entry)) mistakes.add(["mappers", index, ...path], message);
    const name = textOf(entry, "name");
    if (name === null || !context.mappers.some((mapper) => mapper.name === name)) continue;
    mistakes.add(["mappers", index, "name"], `${JSON.stringify(name)} is a built-in mapper, want another name`);
  }
}

function checkInstruments(document: Raw, { defaultMarket }: DynamicContext, mistakes: Mistakes): void {
  const first = new Map<string, { readonly index: number; readonly spelling: string }>();
  for (const { index, entry } of entriesOf(document, "instruments")) {
    const at = ["instruments", index] as const;
    if ("tick" in entry !== "lot" in entry) {
      const missing = "tick" in entry ? "lot" : "tick";
      mistakes.add([...at, missing], "is missing, want tick and lot, or neither: then both are learned from the data");
    }
    const spelling = spellingOf(entry);
    const [field, other] =
      textOf(entry, "spelling") === null ? ["symbol", null] : ["spelling", textOf(entry, "symbol")];
    if (!("symbol" in entry) && !("spelling" in entry)) {
      mistakes.wrong([...at, "symbol"], undefined, "a symbol as the source spells it, such as BTC/USDT");
    }
    if (spelling !== null && other !== null && symbolOf(other) !== symbolOf(spelling)) {
      mistakes.wrong([...at, "symbol"], other, `that of the spelling ${JSON.stringify(spelling)}, or one of both`);
    }
    const market = "market" in entry ? textOf(entry, "market") : defaultMarket;
    if (spelling === null || market === null || !isMarket(market)) continue;
    const symbol = symbolOf(spelling);
    const key = `${market}:${symbol}`;
    if (parseChannelName(`${key}@depth`, defaultMarket) === null) {
      mistakes.wrong([...at, field], spelling, "a symbol with letters or digits, which make channel names");
      continue;
    }
    const before = first.get(key);
    if (before === undefined) first.set(key, { index, spelling });
    else {
      const both = `${JSON.stringify(spelling)} and ${JSON.stringify(before.spelling)} of instruments[${before.index}]`;
      mistakes.add([...at, field], `${both} both make ${key}, leave one out`);
    }
  }
}

function checkProperties(document: Raw, context: DynamicContext, mistakes: Mistakes, warnings: Mistakes): void {
  for (const { index, entry } of entriesOf(document, "datasource")) {
    const type = BROKER_TYPES.find((known) => known === entry.type);
    if (type === undefined || !isRaw(entry.properties)) continue;
    const table = context.properties[type];
    const names = table.map(({ name }) => name);
    for (const [name, value] of Object.entries(entry.properties)) {
      const property = table.find((one) => one.name === name || one.aliases?.includes(name));
      const path = ["datasource", index, "properties", name];
      if (property === undefined) {
        const close = nearest(name, names);
        const suggestion = close === null ? "" : `, did you mean ${JSON.stringify(close)}?`;
        warnings.add(path, `a ${type} source knows no such property and leaves it aside${suggestion}`);
      } else if (value !== null && !READS[property.type].test(value)) {
        // The value may be a secret.
        mistakes.add(path, `is of the wrong type, want ${READS[property.type].wanted}`);
      }
    }
  }
}

const isText = (value: unknown): boolean => typeof value === "string";

/** As in the brokers' own configuration files, numbers and booleans may be texts. */
const READS: Readonly<Record<BrokerProperty["type"], { test: (value: unknown) => boolean; wanted: string }>> = {
  string: { test: (value) => isText(value) || typeof value === "number", wanted: "a text" },
  strings: {
    test: (value) => isText(value) || (Array.isArray(value) && value.every(isText)),
    wanted: "a list of texts, or one text with commas",
  },
  number: {
    test: (value) =>
      Number.isFinite(value) || (isText(value) && String(value).trim() !== "" && Number.isFinite(Number(value))),
    wanted: "a number",
  },
  boolean: {
    test: (value) => typeof value === "boolean" || value === "true" || value === "false",
    wanted: "true or false",
  },
  // As with TLS: true for an empty one.
  object: { test: (value) => isRaw(value) || typeof value === "boolean", wanted: "an object" },
};
