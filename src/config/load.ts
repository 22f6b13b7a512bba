/**
 * Loads the static configuration from flags, environment and config file.
 *
 * Everything it needs of the world comes in, so that a test needs no file. At the limit: GatewayError CONFIG with one line
 * that says what to change.
 */
import { readFileSync, statSync } from "node:fs";
import { availableParallelism, hostname } from "node:os";
import { dirname, resolve } from "node:path";
import type { z } from "zod";
import { canonicalTopic } from "../channel/topic-settings.ts";
import { Lines, scanJson, withoutMark } from "../lib/json-scan.ts";
import { nearest } from "../lib/nearest.ts";
import { checkBus, locateBus } from "./bus.ts";
import { checkCheckpoints, locateCheckpoints } from "./checkpoints.ts";
import { isObject, type Layers, type Raw, readLayers, refuse } from "./layers.ts";
import { LIMIT_PATHS, sessionsMaxOf } from "./limits.ts";
import { CONFIG_FLAG, envName, SETTINGS } from "./settings.ts";
import { type StaticConfig, staticSchema, WHOLE_SENTENCE } from "./static.ts";

export interface World {
  readonly cwd: string;
  readonly hostname: string;
  readonly cores: number;
  /** Files that the process may have open; null where nobody says. */
  readonly openFilesMax: number | null;
  /** Throws as node:fs does. */
  readFile(path: string): string;
  isFile(path: string): boolean;
}

export const realWorld = (): World => ({
  cwd: process.cwd(),
  hostname: hostname(),
  cores: availableParallelism(),
  openFilesMax: openFilesMax(),
  readFile: (path) => readFileSync(path, "utf8"),
  isFile: (path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true,
});

/** Linux tells it in a file; the runtime has raised the soft limit to the hard one already. */
function openFilesMax(): number | null {
  const path = "/proc/self/limits";
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return null;
  const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync(path, "utf8")) ?? [];
  return soft === undefined ? null : Number(soft);
}

export interface Loaded {
  readonly config: StaticConfig;
  /** What looks like a mistake but may be none; for the log. */
  readonly warnings: readonly string[];
}

/** `flags`: values by flagKey as commander gives them; undefined where a flag was not given. */
export function loadStaticConfig(
  flags: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
  world: World = realWorld(),
): Loaded {
  const file = readConfigFile(flags[CONFIG_FLAG.flag] ?? env[envName(CONFIG_FLAG.flag)], world);
  const layers = readLayers(file, env, flags);
  const { raw } = layers;
  raw.nodeId ??= world.hostname.replace(/[^A-Za-z0-9._-]/g, "-").slice(0, 64) || "node";
  raw.workers ??= Math.max(1, world.cores - 1);
  raw.limits ??= {};
  if (isObject(raw.limits)) raw.limits.sessionsMax ??= sessionsMaxOf(world.openFilesMax);
  const parsed = staticSchema.safeParse(raw);
  const issue = parsed.error?.issues[0];
  if (issue !== undefined) throw refuse(sentence(issue, layers));
  const { $schema: _, ...config } = parsed.data ?? staticSchema.parse(raw);
  check(config, layers);
  const warnings = [...unknownVariables(env), ...tooManySessions(config, layers, world)];
  return { config: locate(config, layers, file?.path ?? null, world), warnings };
}

/** More sessions than files: the last ones would wait for ever instead of being answered. */
function tooManySessions({ limits }: StaticConfig, { names }: Layers, { openFilesMax }: World): string[] {
  if (openFilesMax === null || limits.sessionsMax <= openFilesMax) return [];
  const name = names.get("limits.sessionsMax") ?? "limits.sessionsMax";
  return [`${name} is ${limits.sessionsMax}, but this process may open ${openFilesMax} files: raise that (ulimit -n)`];
}

function readConfigFile(
  given: unknown,
  world: World,
): { readonly name: string; readonly path: string; readonly content: Raw } | null {
  if (typeof given !== "string" || given === "") return null;
  const path = resolve(world.cwd, given);
  let text: string;
  try {
    text = withoutMark(world.readFile(path));
  } catch (error) {
    throw refuse(`--config ${given}: cannot read it (${error instanceof Error ? error.message : String(error)})`);
  }
  const { fault } = scanJson(text);
  if (fault !== null) {
    const { line, column } = new Lines(text).of(fault.offset);
    throw refuse(`--config ${given}: not JSON, line ${line}, column ${column}: ${fault.message}`);
  }
  const content: unknown = JSON.parse(text);
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw refuse(`--config ${given}: want one JSON object with settings`);
  }
  return { name: given, path, content: content as Raw };
}

/** One line for the first fault: whose it is, what it is, what is wanted. */
function sentence(issue: z.core.$ZodIssue, { raw, names }: Layers): string {
  const path = issue.path.map(String);
  const name = names.get(path.join(".")) ?? nameOfPart(path, names);
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    const known = nearest(key, knownFields(path));
    const field = names.get([...path, key].join(".")) ?? nameOfPart([...path, key], names);
    return `${field}: no such field${known === null ? ": remove it" : `, did you mean "${known}"?`}`;
  }
  if (issue.code === "custom" && issue.params === WHOLE_SENTENCE) return `${name}: ${issue.message}`;
  const value = path.reduce<unknown>((at, field) => (at as Raw | undefined)?.[field], raw);
  if (value === undefined) return `${name}: is missing, want ${issue.message}`;
  return `${name}: ${JSON.stringify(value)} is wrong, want ${issue.message}${kubernetes(name, value)}`;
}

/** The flag of a field that nothing set, or of the list a part belongs to; in a file the way from what has a name. */
function nameOfPart(path: readonly string[], names: Map<string, string>): string {
  let parent: string | undefined;
  for (let size = path.length - 1; size > 0 && parent === undefined; size--) {
    const name = names.get(path.slice(0, size).join("."));
    if (name !== undefined) parent = name.includes(": ") ? [name, ...path.slice(size)].join(".") : name;
  }
  const flag = SETTINGS.find((setting) => setting.path.join(".") === path.join("."))?.flag;
  return parent ?? (flag === undefined ? path.join(".") : `--${flag}`);
}

function knownFields(path: readonly string[]): string[] {
  const all = [...SETTINGS.map((setting) => setting.path), ...LIMIT_PATHS];
  const fields = all.filter((one) => path.every((field, at) => one[at] === field));
  return [...new Set(fields.map((one) => one[path.length] ?? ""))];
}

/** Kubernetes gives every pod TIDEGATE_PORT=tcp://... when a Service is called `tidegate`. */
const kubernetes = (name: string, value: unknown): string =>
  name === "TIDEGATE_PORT" && String(value).startsWith("tcp://")
    ? " (set by Kubernetes for a Service of this name: set enableServiceLinks to false)"
    : "";

/** What no single field can tell. */
function check(config: StaticConfig, { names }: Layers): void {
  const sameHost = config.host === config.admin.host;
  if (config.port !== 0 && config.port === config.admin.port && sameHost) {
    const name = names.get("admin.port") ?? names.get("port") ?? "--admin-port";
    throw refuse(`${name}: public and admin port are both ${config.port}, give one of them another`);
  }
  if (config.configStore !== undefined) {
    const source = [...names.keys()].find((path) => path === "source" || path.startsWith("source."));
    if (source !== undefined) {
      const store = names.get("configStore") ?? "--config-store";
      throw refuse(`${store} and ${names.get(source)} choose different sources: leave one out`);
    }
  }
  const nameOf = (field: string): string => names.get(field) ?? `--${flagOf(field)}`;
  checkBus(config.bus, nameOf);
  checkCheckpoints(config.checkpoints, nameOf);
  const topics = new Set<string>();
  for (const [at, { topic }] of config.topics.entries()) {
    const canonical = canonicalTopic(topic, config.defaultMarket);
    const name = names.get("topics") ?? "topics";
    if (topics.has(canonical)) throw refuse(`${name}.${at}.topic: "${topic}" stands there twice, leave one out`);
    topics.add(canonical);
  }
}

/** Makes the paths of files absolute: a flag's from where the user stands, a file's from the file. */
function locate(config: StaticConfig, { names }: Layers, file: string | null, world: World): StaticConfig {
  const { source } = config;
  const absolute = (given: string, field: string, flag: string): string => {
    const name = names.get(field) ?? `--${flag}`;
    const fromFile = file !== null && name !== `--${flag}` && name !== envName(flag);
    const path = resolve(fromFile ? dirname(file) : world.cwd, given);
    if (!world.isFile(path)) throw refuse(`${name}: ${path} is no file that exists`);
    return path;
  };
  const tls = config.tls && {
    cert: absolute(config.tls.cert, "tls.cert", "tls-cert"),
    key: absolute(config.tls.key, "tls.key", "tls-key"),
  };
  const configStore = config.configStore && {
    ...config.configStore,
    path: absolute(config.configStore.path, "configStore", "config-store"),
  };
  const bus = locateBus(config.bus, (given, field) => absolute(given, `bus.${field}`, flagOf(`bus.${field}`)));
  const checkpoints = locateCheckpoints(config.checkpoints, (given, field) =>
    absolute(given, `checkpoints.${field}`, `checkpoints.${field}`),
  );
  const located = { ...config, bus, checkpoints, ...(configStore === undefined ? {} : { configStore }), tls };
  if (source.kind === "replay") {
    return { ...located, source: { ...source, path: absolute(source.path, "source.path", "replay") } };
  }
  if (source.kind === "websocket" && source.ca !== undefined) {
    return { ...located, source: { ...source, ca: absolute(source.ca, "source.ca", "upstream-ca") } };
  }
  return located;
}

const flagOf = (field: string): string => SETTINGS.find(({ path }) => path.join(".") === field)?.flag ?? field;

/** Variables of commands other than `serve`, and those that Kubernetes makes up for a Service called `tidegate`. */
const OTHER_VARIABLES = /^TIDEGATE_(URL|ADMIN_URL|COMMIT|FEEDS|(PORT|SERVICE)_.*)$/;

function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = [CONFIG_FLAG.flag, ...SETTINGS.map(({ flag }) => flag)].map(envName);
  return Object.keys(env)
    .filter((name) => name.startsWith("TIDEGATE_") && !known.includes(name) && !OTHER_VARIABLES.test(name))
    .map((name) => {
      const close = nearest(name, known);
      return `${name} is not a setting${close === null ? "" : `, did you mean ${close}?`}`;
    });
}
