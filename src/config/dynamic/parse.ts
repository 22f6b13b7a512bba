/**
 * Parses the dynamic configuration: text -> judged, complete data, or every mistake in it by path, line and column.
 *
 * Pure and synchronous; read.ts runs it beside the main thread where the document is big. Invariant: it never throws for a
 * document, whatever that holds, and what it gives is complete.
 * At the limit: a document over DOCUMENT_BYTES_MAX is refused unread.
 */

import type { InstrumentSpec } from "../../channel/registry.ts";
import { splitSpelling } from "../../channel/registry.ts";
import type { EdgeLimits } from "../../edge/config.ts";
import { Lines, scanJson, withoutMark } from "../../lib/json-scan.ts";
import { limitsSchemaOver } from "../limits.ts";
import { checkLists } from "./check-lists.ts";
import { checkRoutes } from "./check-routes.ts";
import { Mistakes } from "./mistakes.ts";
import { isRaw, type Raw, spellingOf } from "./raw.ts";
import { FIELDS, LISTS, type ListName, VERSION_WANTED } from "./schema.ts";
import { type DynamicConfig, type DynamicContext, ENTRY_VERSION, type Parsed, type RouteSpec } from "./types.ts";

/** Of the text in UTF-16 units; an operator's document has a few thousand. */
export const DOCUMENT_LENGTH_MAX = 32 * 1024 * 1024;

export function parseDynamic(given: string, context: DynamicContext): Parsed {
  const text = withoutMark(given);
  const whole = (message: string, offset = 0): Parsed => ({
    mistakes: [{ path: "", message, ...new Lines(text).of(offset) }],
    warnings: [],
  });
  if (text.length > DOCUMENT_LENGTH_MAX) {
    return whole(`the document has ${text.length} characters, want at most ${DOCUMENT_LENGTH_MAX}: split the cluster`);
  }
  const { fault, twice } = scanJson(text);
  if (fault !== null) return whole(`not JSON: ${fault.message}`, fault.offset);
  const document: unknown = JSON.parse(text);
  if (!isRaw(document)) return whole(`want one JSON object with ${FIELDS.slice(1).join(", ")}`);
  const [mistakes, warnings] = [new Mistakes(), new Mistakes()];
  for (const { path } of twice) mistakes.add(path, "stands in its object twice, leave one out");
  const config = read(document, context, mistakes);
  checkLists(document, context, mistakes, warnings);
  checkRoutes(document, context, mistakes, warnings);
  const told = warnings.located(text);
  return mistakes.any ? { mistakes: mistakes.located(text), warnings: told } : { config, warnings: told };
}

/** Every entry in its form; those that are wrong are left out and told. */
function read(document: Raw, context: DynamicContext, mistakes: Mistakes): DynamicConfig {
  for (const field of Object.keys(document)) {
    if (!FIELDS.includes(field)) mistakes.unknownField([], field, FIELDS);
  }
  const { $schema } = document;
  if ($schema !== undefined && typeof $schema !== "string")
    mistakes.wrong(["$schema"], $schema, "the schema's address");
  const routes = list(document, "routes", mistakes).map(
    (route): RouteSpec => ({
      ...route,
      mappings: route.mappings.map((mapping) => ({
        ...mapping,
        source_topic: mapping.source_topic ?? mapping.fanout_topic,
      })),
    }),
  );
  return {
    datasource: list(document, "datasource", mistakes),
    topics: list(document, "topics", mistakes),
    routes,
    mappers: list(document, "mappers", mistakes),
    instruments: list(document, "instruments", mistakes).map((spec) => instrumentOf(spec, context.defaultMarket)),
    limits: limitsOf(document, context, mistakes),
  };
}

type Entry<Name extends ListName> = ReturnType<(typeof LISTS)[Name]["parse"]>;

function list<Name extends ListName>(document: Raw, name: Name, mistakes: Mistakes): Entry<Name>[] {
  const raw = Object.hasOwn(document, name) ? document[name] : [];
  if (!Array.isArray(raw)) {
    mistakes.wrong([name], raw, "a list");
    return [];
  }
  const schema = LISTS[name];
  const entries: Entry<Name>[] = [];
  for (const [index, value] of (raw as readonly unknown[]).entries()) {
    const path = [name, index];
    if (isSkewed(value, path, mistakes)) continue;
    const parsed = schema.safeParse(value);
    if (parsed.success) entries.push(parsed.data as Entry<Name>);
    else mistakes.addIssues(parsed.error.issues, schema, value, path);
  }
  return entries;
}

/** An entry of a newer form: what else it holds is not for this build to judge. */
function isSkewed(entry: unknown, path: readonly (string | number)[], mistakes: Mistakes): boolean {
  const version = isRaw(entry) && Object.hasOwn(entry, "version") ? entry.version : ENTRY_VERSION;
  if (version === ENTRY_VERSION) return false;
  const at = [...path, "version"];
  if (!Number.isInteger(version) || Number(version) < ENTRY_VERSION) {
    if (Number.isInteger(version)) mistakes.wrong(at, version, VERSION_WANTED);
    return false;
  }
  mistakes.add(
    at,
    `${version} is newer than this build reads (${ENTRY_VERSION}): run a newer tidegate, or write it as ${ENTRY_VERSION}`,
  );
  return true;
}

function limitsOf(document: Raw, context: DynamicContext, mistakes: Mistakes): EdgeLimits {
  if (!Object.hasOwn(document, "limits")) return context.limits;
  const schema = limitsSchemaOver(context.limits);
  const parsed = schema.safeParse(document.limits);
  if (parsed.success) return parsed.data;
  mistakes.addIssues(parsed.error.issues, schema, document.limits, ["limits"]);
  return context.limits;
}

function instrumentOf(spec: Entry<"instruments">, defaultMarket: string): InstrumentSpec {
  const { market = defaultMarket, tick = "1", lot = "1", status = "trading" } = spec;
  const spelling = spellingOf(spec) ?? "";
  const [base, quote] = splitSpelling(spelling);
  const inferred = spec.tick === undefined;
  return { market, spelling, base: spec.base ?? base, quote: spec.quote ?? quote, tick, lot, status, inferred };
}
