/** The table of limits against the limits, and the page of limits against the table. */
import { expect, test } from "bun:test";
import { DEFAULT_LIMITS } from "./config.ts";
import { LIMIT_RELATIONS, LIMIT_TABLE, limitAt, limitsWith } from "./limit-table.ts";
import { withLimitsTable } from "./limits-page.ts";

/** Every field with dots, but `is`: that is no setting. */
function leaves(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([field, inside]) =>
    field === "is" ? [] : leaves(inside, path === "" ? field : `${path}.${field}`),
  );
}

const paths = LIMIT_TABLE.map(({ path }) => path);

test("limit table - every field of EdgeLimits has one line (a new limit needs one in limit-table.ts)", () => {
  expect([...paths].sort()).toEqual(leaves(DEFAULT_LIMITS).sort());
});

test("limit table - every default is within its bounds, every flag is its own", () => {
  for (const { path, read, min, max, judge, wanted } of LIMIT_TABLE) {
    const value = limitAt(DEFAULT_LIMITS, path);
    if (read === "list")
      expect([path, Array.isArray(value), typeof judge, typeof wanted]).toEqual([path, true, "function", "string"]);
    else expect([path, Number(value) >= min, Number(value) <= max]).toEqual([path, true, true]);
  }
  const flags = LIMIT_TABLE.map(({ flag }) => flag).filter((flag) => flag !== "");
  expect(new Set(flags).size).toBe(flags.length);
});

test("limit table - the defaults hold every relation, and each relation can be broken", () => {
  for (const { fields, holds } of LIMIT_RELATIONS) {
    expect([fields, holds(DEFAULT_LIMITS)]).toEqual([fields, true]);
    expect(fields.every((field) => paths.includes(field))).toBe(true);
  }
  const broken = limitsWith({
    outboxBytesHigh: 2 ** 30,
    outboxBytesNodeMax: 1,
    slowPatienceMsMax: 1,
    idleMsMax: 1,
    connects: { perSecond: 0.001, burst: 1000 },
  });
  expect(LIMIT_RELATIONS.filter(({ holds }) => holds(broken)).map(({ fields }) => fields)).toEqual([]);
});

test("limit table - docs/limits.md has the present one (else run bun scripts/print-limits.ts)", async () => {
  const page = await Bun.file(new URL("../../docs/limits.md", import.meta.url)).text();
  expect(withLimitsTable(page) === page).toBe(true);
});
