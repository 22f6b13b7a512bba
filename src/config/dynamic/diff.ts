/**
 * What a new document changes, part by part, and which of it a running node can take.
 *
 * Pure. Invariants: what must wait for a restart stays as it runs, whole; a mapper that a running route still uses stays
 * until that route is gone.
 */

import { symbolOf } from "../../channel/name.ts";
import { canonicalTopic } from "../../channel/topic-settings.ts";
import { liveLimits } from "../../edge/live-limits.ts";
import type { DynamicConfig } from "./types.ts";

export type Part = keyof DynamicConfig;

const PARTS: readonly Part[] = ["datasource", "topics", "routes", "mappers", "instruments", "limits"];

export interface PartChange {
  readonly part: Part;
  /** Entries (of limits: fields) that are new, differ or are gone. */
  readonly names: readonly string[];
}

export interface ConfigChange {
  /** What the node is to run by now. */
  readonly running: DynamicConfig;
  /** Parts that are new in it. */
  readonly live: readonly PartChange[];
  /** Parts of the document that have to wait. */
  readonly restart: readonly PartChange[];
}

/** `running`: what the node runs by; `document`: what it was given. */
export function changeOf(running: DynamicConfig, document: DynamicConfig): ConfigChange {
  const { datasource, routes } = running;
  const used = new Set(routes.flatMap(({ mappings }) => mappings.map(({ mapper }) => mapper)));
  const given = new Set(document.mappers.map(({ name }) => name));
  const kept = running.mappers.filter(({ name }) => used.has(name) && !given.has(name));
  const limits = liveLimits(running.limits, document.limits);
  const next: DynamicConfig = { ...document, datasource, routes, mappers: [...document.mappers, ...kept], limits };
  return { running: next, live: differing(running, next), restart: differing(next, document) };
}

function differing(before: DynamicConfig, after: DynamicConfig): PartChange[] {
  return PARTS.flatMap((part) => {
    const names = differences(named(part, before), named(part, after));
    return names.length === 0 ? [] : [{ part, names }];
  });
}

/** Entries of a part by what they are called. */
function named(part: Part, config: DynamicConfig): ReadonlyMap<string, unknown> {
  switch (part) {
    case "limits":
      return new Map(fieldsOf(config.limits, ""));
    case "topics":
      // The node's default market does not matter here: a topic that is written otherwise is told as changed.
      return new Map(config.topics.map((topic) => [canonicalTopic(topic.topic, "spot"), topic]));
    case "instruments":
      return new Map(config.instruments.map((one) => [`${one.market}:${symbolOf(one.spelling)}`, one]));
    case "routes":
      return new Map(config.routes.map((route) => [route.id, route]));
    default:
      return new Map(config[part].map((entry) => [entry.name, entry]));
  }
}

function fieldsOf(object: object, prefix: string): [string, unknown][] {
  return Object.entries(object).flatMap(([field, value]): [string, unknown][] =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? fieldsOf(value, `${prefix}${field}.`)
      : [[prefix + field, value]],
  );
}

function differences(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): string[] {
  const gone = [...before.keys()].filter((name) => !after.has(name));
  const differing = [...after]
    .filter(([name, entry]) => !Bun.deepEquals(before.get(name), entry))
    .map(([name]) => name);
  return [...differing, ...gone];
}
