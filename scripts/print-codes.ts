/**
 * Writes the table of codes into docs/protocol.md: `bun scripts/print-codes.ts`. With `--check` it changes nothing and
 * exits 1 if the page is out of date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { withCodesTable } from "../src/protocol/codes-table.ts";

const path = new URL("../docs/protocol.md", import.meta.url);
const page = readFileSync(path, "utf8");
const fresh = withCodesTable(page);
if (fresh === page) console.log("docs/protocol.md is up to date");
else if (process.argv.includes("--check")) {
  console.error("docs/protocol.md is out of date: run bun scripts/print-codes.ts");
  process.exitCode = 1;
} else {
  writeFileSync(path, fresh);
  console.log("docs/protocol.md: table of codes written");
}
