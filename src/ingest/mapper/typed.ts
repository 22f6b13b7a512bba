/**
 * Mapper `typed`: for sources whose records already hold our own updates (sim, synthetic). Passes them on as they are.
 *
 * On the path: source -> MAPPER -> derive.
 */
import type { Update } from "../../channel/types.ts";
import type { Mapper } from "./mapper.ts";

export function createTyped(): Mapper {
  return {
    name: "typed",
    version: 1,
    map: (value) => (Array.isArray(value) ? (value as readonly Update[]) : { malformed: "not a list of updates" }),
  };
}
