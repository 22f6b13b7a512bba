/**
 * Reads the three layers of static settings, config file, environment and flags, into one raw object.
 *
 * Invariants: a later layer wins field by field; every field remembers which flag, variable or file field set it, so that
 * a refusal can name it. Which source runs is a choice of its own: a layer that names another kind replaces it whole.
 * At the limit: settings that contradict each other in one layer, or belong to another source, are refused.
 */
import { GatewayError } from "../lib/errors.ts";
import { envName, flagKey, SETTINGS, type Setting } from "./settings.ts";

export type Raw = { [field: string]: unknown };

export interface Layers {
  readonly raw: Raw;
  /** `admin.port` -> what to call it in a message. */
  readonly names: Map<string, string>;
}

export const refuse = (sentence: string): GatewayError => new GatewayError("CONFIG", sentence);

export const isObject = (value: unknown): value is Raw =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export function readLayers(
  file: { readonly name: string; readonly content: Raw } | null,
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, unknown>>,
): Layers {
  const layers: Layers = { raw: {}, names: new Map() };
  if (file !== null) {
    Object.assign(layers.raw, structuredClone(file.content));
    nameFields(layers.names, file.name, layers.raw, "");
  }
  const both = [
    given(
      (setting) => env[envName(setting.flag)],
      (setting) => envName(setting.flag),
    ),
    given(
      (setting) => flags[flagKey(setting.flag)],
      (setting) => `--${setting.flag}`,
    ),
  ];
  const isSource = ({ setting }: Given): boolean => setting.path[0] === "source";
  for (const layer of both) for (const one of layer) if (!isSource(one)) place(layers, one);
  const ofSource = both.map((layer) => layer.filter(isSource));
  if (ofSource.some((layer) => layer.length > 0)) placeSource(layers, ofSource);
  return layers;
}

function nameFields(names: Map<string, string>, file: string, object: Raw, prefix: string): void {
  for (const [field, value] of Object.entries(object)) {
    const path = prefix === "" ? field : `${prefix}.${field}`;
    names.set(path, `${file}: ${path}`);
    if (isObject(value)) nameFields(names, file, value, path);
  }
}

type Given = { readonly setting: Setting; readonly value: unknown; readonly name: string };

/** What one layer sets. */
function given(textOf: (setting: Setting) => unknown, nameOf: (setting: Setting) => string): Given[] {
  const found: Given[] = [];
  for (const setting of SETTINGS) {
    const value = textOf(setting);
    // An empty variable is the usual way to say "not set".
    if (value !== undefined && value !== "")
      found.push({ setting, value: read(setting, value), name: nameOf(setting) });
  }
  return found;
}

function place({ raw, names }: Layers, { setting, value, name }: Given): void {
  let object = raw;
  for (const field of setting.path.slice(0, -1)) {
    const inner = object[field] ?? {};
    // A file's value of a wrong type stays where it is, to be refused under its own name.
    if (!isObject(inner)) return;
    object[field] = inner;
    object = inner;
  }
  object[setting.path.at(-1) ?? ""] = value;
  names.set(setting.path.join("."), name);
}

/** Fields of a source and the kind they belong to; the first five choose that kind by being set. */
const KIND_OF = {
  path: "replay",
  upstream: "websocket",
  shape: "synthetic",
  rate: "sim",
  seed: "sim",
  speed: "replay",
  loop: "replay",
  url: "websocket",
  rest: "websocket",
  ca: "websocket",
} as const;
const CHOOSING: readonly string[] = ["path", "upstream", "shape", "rate", "seed"];

const sourceField = ({ setting }: Given): string => setting.path[1] ?? "";
const kindOf = (one: Given): string => KIND_OF[sourceField(one) as keyof typeof KIND_OF];

/**
 * The highest layer that chooses a source decides its kind. Settings of another kind are refused in that layer and above,
 * and overruled below.
 */
function placeSource(layers: Layers, lowestFirst: readonly Given[][]): void {
  const choosingAt = lowestFirst.findLastIndex((layer) => layer.some((one) => CHOOSING.includes(sourceField(one))));
  const chooser = lowestFirst[choosingAt]?.find((one) => CHOOSING.includes(sourceField(one)));
  const below = isObject(layers.raw.source) ? layers.raw.source : { kind: "sim" };
  const kind = chooser === undefined ? below.kind : kindOf(chooser);
  const all = lowestFirst.flatMap((layer, at) => layer.map((one) => ({ one, at })));
  const wrong = all.find(({ one, at }) => kindOf(one) !== kind && at >= choosingAt)?.one;
  if (wrong !== undefined && !CHOOSING.includes(sourceField(wrong))) {
    throw refuse(`${wrong.name} needs ${kindOf(wrong) === "replay" ? "--replay FILE" : "--upstream VENUE:SYMBOLS"}`);
  }
  if (wrong !== undefined && chooser !== undefined) {
    throw refuse(`${wrong.name} and ${chooser.name} choose different sources: leave one out`);
  }
  layers.raw.source = below.kind === kind ? below : { kind };
  for (const { one } of all) if (kindOf(one) === kind) place(layers, one);
}

const UNITS: Readonly<Record<string, number>> = { "": 1, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3 };
const NUMBER = /^-?\d+(\.\d+)?$/;

/** Text of a flag or variable as the value the config file would hold; text that cannot be read is left for zod. */
function read(setting: Setting, value: unknown): unknown {
  if (typeof value !== "string") return value;
  const text = value.trim();
  if (setting.flag === "speed" || setting.read === "number") return NUMBER.test(text) ? Number(text) : text;
  if (setting.read === "list") return text.split(",").map((part) => part.trim());
  if (setting.read === "switch")
    return text === "true" || text === "1" ? true : text === "false" || text === "0" ? false : text;
  if (setting.read === "bytes") {
    const [, digits = "", unit = ""] = /^(\d+) *([KMG]iB)?$/i.exec(text) ?? [];
    return digits === "" ? text : Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN);
  }
  return text;
}
