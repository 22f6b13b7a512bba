/**
 * Reads the properties of a data source as its configuration has them: in the broker's own spelling, numbers and booleans
 * also as text.
 *
 * Invariants: a value of the wrong type is refused by name (BROKER_PROPERTIES), and never shown where it may be a secret; a
 * property nobody understands is told once, with the nearest known name, since operators paste whole client configurations.
 */
import { GatewayError } from "../lib/errors.ts";
import { nearest } from "../lib/nearest.ts";
import type { BrokerProperty, BrokerTools } from "./broker.ts";

type Row = readonly [name: string, type: BrokerProperty["type"], fallback: string, what: string];

/** The properties of a type of data source, a row each. */
export const asTable = (rows: readonly Row[]): readonly BrokerProperty[] =>
  rows.map(([name, type, fallback, what]) => ({ name, type, default: fallback, what }));

export class BrokerProperties {
  readonly #source: string;
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(tools: Pick<BrokerTools, "name" | "properties" | "log">, table: readonly BrokerProperty[]) {
    this.#source = tools.name;
    this.#values = tools.properties;
    const known = table.map(({ name }) => name);
    for (const name of Object.keys(this.#values)) {
      if (known.includes(name)) continue;
      const meant = nearest(name, known);
      tools.log.warn("property is not understood and has no effect", {
        source: this.#source,
        property: name,
        ...(meant === null ? {} : { meant }),
      });
    }
  }

  /** What was given, unless it is null or absent. */
  raw(name: string): unknown {
    return this.#values[name] ?? undefined;
  }

  text(name: string): string | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === "string") return value;
    if (typeof value === "number") return String(value);
    throw this.wrong(name, "must be text");
  }

  /** A list of texts, or one text with commas. */
  texts(name: string): readonly string[] | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const list = typeof value === "string" ? value.split(",").map((one) => one.trim()) : value;
    if (!Array.isArray(list) || !list.every((one): one is string => typeof one === "string" && one !== "")) {
      throw this.wrong(name, "must be a list of texts, or one text with commas");
    }
    return list;
  }

  number(name: string, least: number, most: number): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof number !== "number" || !(number >= least && number <= most)) {
      throw this.wrong(name, `must be a number from ${least} to ${most}`);
    }
    return number;
  }

  /** One of the words. */
  choice<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const value = this.text(name);
    if (value === undefined || words.includes(value as Word)) return value as Word | undefined;
    throw this.wrong(name, `must be one of ${words.join(", ")}`);
  }

  /** GatewayError BROKER_PROPERTIES about one property. */
  wrong(name: string, what: string): GatewayError {
    return new GatewayError("BROKER_PROPERTIES", `data source ${this.#source}: property "${name}" ${what}`);
  }
}
