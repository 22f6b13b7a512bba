/** Writes the table of limits into docs/limits.md: `bun scripts/print-limits.ts` (a test checks that it is up to date). */
import { readFileSync, writeFileSync } from "node:fs";
import { withLimitsTable } from "../src/edge/limits-page.ts";

const path = new URL("../docs/limits.md", import.meta.url);
const page = readFileSync(path, "utf8");
const fresh = withLimitsTable(page);
if (fresh === page) console.log("docs/limits.md is up to date");
else {
  writeFileSync(path, fresh);
  console.log("docs/limits.md: table of limits written");
}
