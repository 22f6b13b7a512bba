/**
 * What the client programs share. A program is told `{http, ws, mode, symbols}` as JSON in its first argument, does with a
 * library from npm what its README shows, and says what it got in lines of JSON on stdout. It ends when stdin does.
 *
 * Plain Node, as those who use these libraries run them.
 */
export const asked = JSON.parse(process.argv[2]);

export function say(what, row = {}) {
  process.stdout.write(`${JSON.stringify({ what, ...row })}\n`);
}

/** Makes REST calls one after the other and says the result of each. */
export async function callAll(market, calls) {
  for (const [call, run] of Object.entries(calls)) {
    try {
      say("rest", { market, call, result: await run() });
    } catch (error) {
      say("rest", { market, call, error: error?.message ?? JSON.stringify(error) });
    }
  }
}

process.stdin.on("end", () => process.exit(0)).resume();
