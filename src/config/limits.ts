/**
 * The setting `limits`, judged by the table of the edge's limits (src/edge/limit-table.ts).
 *
 * Invariants: every limit can be set in the config file, what is left out has its default; relations between limits hold.
 */
import { z } from "zod";
import { DEFAULT_LIMITS, type EdgeLimits } from "../edge/config.ts";
import { LIMIT_RELATIONS, LIMIT_TABLE, type LimitEntry, limitAt, limitsWith } from "../edge/limit-table.ts";

const want = (sentence: string) => ({ error: () => sentence });

function judged(entry: LimitEntry): z.ZodType {
  const { read, min, max, unit } = entry;
  if (read === "list") {
    const { judge = () => true, wanted = "" } = entry;
    const item = z.string(want(wanted)).refine(judge, want(wanted));
    return z.array(item, want(`a list of ${entry.unit}`)).max(max, want(`at most ${max} ${entry.unit}`));
  }
  const kind = read === "number" ? "number" : "whole number";
  const wanted = want(`a ${kind} from ${min} to ${max}, in ${unit}`);
  const base = read === "number" ? z.number(wanted) : z.int(wanted);
  return base.min(min, wanted).max(max, wanted);
}

type Branch = Map<string, Branch | LimitEntry>;

function branchOf(entries: readonly LimitEntry[]): Branch {
  const root: Branch = new Map();
  for (const entry of entries) {
    const fields = entry.path.split(".");
    let branch = root;
    for (const field of fields.slice(0, -1)) {
      const inner = branch.get(field);
      const next: Branch = inner instanceof Map ? inner : new Map();
      branch.set(field, next);
      branch = next;
    }
    branch.set(fields.at(-1) ?? "", entry);
  }
  return root;
}

function schemaOf(branch: Branch): z.ZodType<Record<string, unknown>> {
  const shape = [...branch].map(([field, inside]): [string, z.ZodType] => [
    field,
    inside instanceof Map
      ? schemaOf(inside).optional()
      : judged(inside).optional().describe(`${inside.what}; in ${inside.unit}. At the limit: ${inside.consequence}`),
  ]);
  return z.strictObject(Object.fromEntries(shape), want("an object of limits"));
}

/** The fields that are given, without the relations between them. */
const givenSchema = schemaOf(branchOf(LIMIT_TABLE));

/** `base`: what holds for the fields that are left out. */
export const limitsSchemaOver = (base: EdgeLimits) =>
  givenSchema.transform((given, context): EdgeLimits => {
    const limits = limitsWith(given, base);
    for (const { fields, holds, wanted } of LIMIT_RELATIONS) {
      if (holds(limits)) continue;
      const field = fields.find((path) => limitAt(given as unknown as EdgeLimits, path) !== undefined) ?? fields[0];
      context.addIssue({ code: "custom", message: wanted, path: field.split("."), input: given });
    }
    return limits;
  });

export const limitsSchema = limitsSchemaOver(DEFAULT_LIMITS);

/** Fields of `limits`, for suggestions. */
export const LIMIT_PATHS: readonly (readonly string[])[] = LIMIT_TABLE.map(({ path }) => [
  "limits",
  ...path.split("."),
]);

/** Files for everything but sessions: sources, the admin server, REST. */
const FILES_RESERVED = 256;
const FILES_PART = 0.95;

/** Sessions that fit into the files a process may open, so that one too many is answered and not left waiting; 0: no limit. */
export function sessionsMaxOf(openFilesMax: number | null): number {
  if (openFilesMax === null) return 0;
  return Math.max(1, Math.floor(Math.min(openFilesMax * FILES_PART, openFilesMax - FILES_RESERVED)));
}
