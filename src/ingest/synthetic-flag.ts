/** The text of `--synthetic`: `channels=10,rate=30,size=200[,spread]`. What is left out has the default. */
import { GatewayError } from "../lib/errors.ts";
import type { SyntheticShape } from "./synthetic.ts";

const DEFAULTS: SyntheticShape = { channels: 10, rate: 30, size: 200, spread: false };

const CHANNELS_MAX = 100_000;
const RATE_MAX = 100_000;
const SIZE_BYTES_MAX = 1024 * 1024;
/** Updates per second in all: above it one thread could not make them. */
const UPDATES_MAX = 1_000_000;

/** Throws GatewayError that names the field and what it may be. */
export function parseSynthetic(text: string): SyntheticShape {
  const shape: { -readonly [Field in keyof SyntheticShape]: SyntheticShape[Field] } = { ...DEFAULTS };
  const seen = new Set<string>();
  for (const field of text.split(",").map((part) => part.trim())) {
    if (field === "") continue;
    const equals = field.indexOf("=");
    const name = equals === -1 ? field : field.slice(0, equals);
    const value = equals === -1 ? null : field.slice(equals + 1);
    if (seen.has(name)) throw refuse(`"${name}" is given twice: give it once`);
    seen.add(name);
    if (name === "channels") shape.channels = integer(name, value, CHANNELS_MAX);
    else if (name === "size") shape.size = integer(name, value, SIZE_BYTES_MAX);
    else if (name === "rate") shape.rate = number(name, value, RATE_MAX);
    else if (name === "spread" && value === null) shape.spread = true;
    else if (name === "spread") throw refuse(`"spread" takes no value: leave "=${value}" out`);
    else throw refuse(`unknown field "${name}": use channels=N, rate=N, size=N, spread`);
  }
  if (shape.channels * shape.rate > UPDATES_MAX) {
    throw refuse(`channels x rate is above ${UPDATES_MAX} updates per second: lower one`);
  }
  return shape;
}

function number(name: string, value: string | null, max: number): number {
  const parsed = value === null || value.trim() === "" ? Number.NaN : Number(value);
  if (!(parsed > 0 && parsed <= max)) throw refuse(`"${name}" must be a number above 0 and up to ${max}`);
  return parsed;
}

function integer(name: string, value: string | null, max: number): number {
  const parsed = number(name, value, max);
  if (!Number.isInteger(parsed)) throw refuse(`"${name}" must be a whole number from 1 to ${max}`);
  return parsed;
}

const refuse = (sentence: string): GatewayError => new GatewayError("SYNTHETIC", `synthetic: ${sentence}`);
