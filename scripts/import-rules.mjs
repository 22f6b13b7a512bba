/**
 * Checks the import rules of .dependency-cruiser.cjs. Run by `npm test` on Bun, because dependency-cruiser needs a newer
 * Node than the commands do.
 *
 * Imports are read by swc: the native TypeScript compiler has no parser that dependency-cruiser can use. swc's Visitor
 * does not know `using`, so it is taught here.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Visitor } from "@swc/core/Visitor.js";
import { cruise } from "dependency-cruiser";
import { root } from "./install.mjs";

const { visitStatement } = Visitor.prototype;
Visitor.prototype.visitStatement = function (statement) {
  if (statement.type !== "UsingDeclaration") return visitStatement.call(this, statement);
  this.visitVariableDeclarators(statement.decls);
  return statement;
};

const rules = createRequire(import.meta.url)(join(root, ".dependency-cruiser.cjs"));
process.chdir(root);
const rooms = ["bin", "src", "sim", "load", "bench", "test", "client"].filter((folder) => existsSync(folder));
const { output } = await cruise(rooms, { ...rules.options, ruleSet: { forbidden: rules.forbidden }, validate: true });

const faults = output.summary.violations.map(describe);
const sources = output.modules.map(({ source }) => source).filter((path) => path.endsWith(".ts"));
for (const path of sources) {
  if (!existsSync(path)) continue;
  // swc does not report these: they would slip past the rules.
  for (const [text] of readFileSync(path, "utf8").matchAll(/(?<!await )(?<!=> )\bimport\("\.[^"]*"\)\.\w+/g))
    faults.push(`${path}: ${text}: import the type with an import declaration`);
}
for (const fault of faults) console.log(fault);
console.log(`${sources.length} files, ${faults.length} import faults`);
process.exit(faults.length === 0 ? 0 : 1);

function describe({ rule, from, to, cycle, comment }) {
  const path = cycle ? [from, ...cycle.map((step) => step.name ?? step)].join(" -> ") : `${from} -> ${to}`;
  return `${rule.name}: ${path}${comment ? ` (${comment})` : ""}`;
}
