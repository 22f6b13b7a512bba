/**
 * The limits of a worker that change while it runs: one object that all its parts hold and ask each time.
 *
 * Invariants: fields that apply only at a restart (limit-table.ts) keep what the worker was started with.
 */
import type { EdgeLimits } from "./config.ts";
import { LIMIT_RELATIONS, LIMIT_TABLE, limitAt } from "./limit-table.ts";

/**
 * `limits` with the fields of `given` that can change on a running node; the others stay, and with them those that a relation
 * ties to them if it would not hold.
 */
export function liveLimits(limits: EdgeLimits, given: EdgeLimits): EdgeLimits {
  const next = structuredClone(limits);
  changeLimits(next, given);
  for (const { fields, holds } of LIMIT_RELATIONS) {
    if (!holds(next)) for (const field of fields) setLimit(next, field, limitAt(limits, field));
  }
  return next;
}

/** Takes such fields over, in place. */
export function changeLimits(limits: EdgeLimits, given: EdgeLimits): void {
  for (const { path, applies } of LIMIT_TABLE) {
    const value = limitAt(given, path);
    if (applies !== "restart" && value !== undefined) setLimit(limits, path, value);
  }
}

function setLimit(limits: EdgeLimits, path: string, value: unknown): void {
  const fields = path.split(".");
  const last = fields.pop() ?? "";
  let branch = limits as unknown as Record<string, unknown>;
  for (const field of fields) branch = branch[field] as Record<string, unknown>;
  branch[last] = value;
}
