/**
 * The Autobahn cases against our listener: `npm run test:autobahn`. Prints what ended otherwise than with OK, with the
 * reason; exit status 1 if a case did not end as it should.
 */
import { judge } from "./cases.ts";
import { startEcho } from "./echo.ts";
import { KNOWN } from "./known.ts";

using echo = startEcho();
console.log("the cases of the Autobahn suite against our listener, without compression ...");
try {
  const { cases, ok, faults } = await judge(echo.port, { exclude: ["12.*", "13.*"] });
  const bad = [...faults, ...echo.failures];
  for (const [reason, ids] of Map.groupBy(Object.keys(KNOWN), (id) => `${KNOWN[id]!.behavior}: ${KNOWN[id]!.reason}`))
    console.log(`${ids.join(", ")} ${reason}`);
  for (const fault of bad) console.log(fault);
  const known = cases - ok - faults.length;
  console.log(`${cases} cases: ${ok} OK, ${known} otherwise for the reasons above, ${bad.length} faults`);
  process.exitCode = bad.length === 0 && cases > 0 ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
