/** What the `config` commands print: loaded only for them, because it knows all brokers. */
import { schemaText } from "../../config/dynamic/json-schema.ts";
import { mistakesText } from "../../config/dynamic/mistakes.ts";
import { parseDynamic } from "../../config/dynamic/parse.ts";
import type { DynamicConfig, Mistake, Parsed } from "../../config/dynamic/types.ts";
import { createDryRun, type DryRunChoice, type DryRunResult } from "../../dry-run.ts";
import { dynamicContext } from "../../dynamic-context.ts";
import { judgeSources } from "../../judge-sources.ts";
import { GatewayError } from "../../lib/errors.ts";
import { Lines, spotsOf } from "../../lib/json-scan.ts";

export const schema = (): string => schemaText(dynamicContext());

/** Parsed, and its data sources judged by their brokers. */
async function judged(text: string, defaultMarket: string): Promise<Parsed> {
  const parsed = parseDynamic(text, dynamicContext({ defaultMarket }));
  if ("mistakes" in parsed) return parsed;
  const found = await judgeSources(parsed.config);
  if (found.length === 0) return parsed;
  const spots = spotsOf(
    text,
    found.map(({ index }) => ["datasource", index, "properties"]),
  );
  const lines = new Lines(text);
  const mistakes = found.map(({ index, message }, at) => ({
    path: `datasource[${index}].properties`,
    message,
    ...lines.of(spots[at]?.start ?? 0),
  }));
  return { mistakes, warnings: parsed.warnings };
}

export async function validate(
  file: string,
  text: string,
  defaultMarket: string,
  json: boolean,
): Promise<{ readonly text: string; readonly isValid: boolean }> {
  const parsed = await judged(text, defaultMarket);
  const mistakes = "mistakes" in parsed ? parsed.mistakes : [];
  const isValid = mistakes.length === 0;
  if (json) return { text: `${JSON.stringify({ valid: isValid, mistakes, warnings: parsed.warnings })}\n`, isValid };
  const head = "config" in parsed ? `valid: ${summary(parsed.config)}` : count(mistakes.length, "mistake");
  const lines = [
    `${file}: ${head}`,
    ...mistakes.map(line),
    ...parsed.warnings.map((warning) => `${line(warning)} (a warning)`),
  ];
  return { text: `${lines.join("\n")}\n`, isValid };
}

const line = ({ path, message, line, column }: Mistake): string =>
  `  ${line}:${column} ${path === "" ? "" : `${path}: `}${message}`;

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;

function summary({ datasource, routes, topics, mappers, instruments }: DynamicConfig): string {
  return [
    count(datasource.length, "data source"),
    count(routes.length, "route"),
    count(routes.flatMap(({ mappings }) => mappings).length, "mapping"),
    count(topics.length, "topic"),
    count(mappers.length, "mapper"),
    count(instruments.length, "instrument"),
  ].join(", ");
}

/** GatewayError CONFIG with the mistakes, if there are any. */
async function configOf(file: string, text: string, defaultMarket: string): Promise<DynamicConfig> {
  const parsed = await judged(text, defaultMarket);
  if ("config" in parsed) return parsed.config;
  throw new GatewayError("CONFIG", `${file}: ${mistakesText(parsed.mistakes)}`);
}

const SECRET = /pass|secret|token|seed|jaas|private/i;

export async function show(file: string, text: string, defaultMarket: string): Promise<string> {
  const { datasource, limits, ...rest } = await configOf(file, text, defaultMarket);
  const shown = datasource.map((source) => ({ ...source, properties: withoutSecrets(source.properties) }));
  const isGiven = Object.hasOwn(JSON.parse(text) as object, "limits");
  return `${JSON.stringify({ datasource: shown, ...rest, ...(isGiven ? { limits } : {}) }, null, 2)}\n`;
}

const withoutSecrets = (properties: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [name, SECRET.test(name) ? "***" : withoutUser(value)]),
  );

/** `nats://user:password@host` without the first two. */
const withoutUser = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(withoutUser)
    : typeof value === "string"
      ? value.replace(/(\w+:\/\/)[^/@\s]+@/g, "$1***@")
      : value;

export async function dryRun(
  file: string,
  text: string,
  choice: DryRunChoice,
  defaultMarket: string,
  json: boolean,
): Promise<(records: string) => { readonly text: string; readonly allFit: boolean }> {
  const run = createDryRun(await configOf(file, text, defaultMarket), choice, defaultMarket);
  return (given) => {
    const results = recordsOf(given).map((record) => run(record));
    const told = results.flatMap((result, at) => (json ? JSON.stringify(result) : said(result, at + 1)));
    const allFit = results.every(
      (result) => !("malformed" in result) && !("faults" in result && result.faults.length > 0),
    );
    return { text: told.length === 0 ? "" : `${told.join("\n")}\n`, allFit };
  };
}

/** One record if all of it is JSON, else one a line. */
function recordsOf(text: string): readonly string[] {
  try {
    JSON.parse(text);
    return [text.trim()];
  } catch {
    return text.split("\n").filter((one) => one.trim() !== "");
  }
}

const SKIPPED: Readonly<Record<string, string>> = {
  unmatched: "its symbol or topic is none of ours",
  filtered: "no mapping takes it: a filter does not hold, or it is of another interval or kind",
  empty: "it has no content",
};

function said(result: DryRunResult, number: number): string[] {
  if ("malformed" in result) return [`record ${number}: malformed: ${result.malformed}`];
  if ("skipped" in result) {
    const { skipped, symbol, advice } = result;
    const whose = symbol === undefined ? "" : ` (${symbol})`;
    return [
      `record ${number}: skipped as ${skipped}: ${SKIPPED[skipped]}${whose}${advice === undefined ? "" : `: ${advice}`}`,
    ];
  }
  const { updates, faults } = result;
  return [
    `record ${number}: ${count(updates.length, "update")}`,
    ...updates.flatMap(({ channel, kind, type, time, user, data }) => [
      `  ${channel}  ${kind} ${type}, time ${time}${user === "" ? "" : `, user ${user}`}`,
      `    ${JSON.stringify(data)}`,
    ]),
    ...faults.map((fault) => `  would be refused: ${fault}`),
  ];
}
