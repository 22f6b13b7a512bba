/**
 * Has every server of the tests at hand: `node scripts/servers/mod.mjs [redis nats kafka chromium]` says where each is found,
 * or in one sentence what to install; exit status 1 if one cannot be had. Without Chromium one test is skipped, so that is a
 * failure only if it is asked for by name. Plain Node >= 20, no dependencies.
 */
import { obtainChromium } from "./chromium.mjs";
import { obtainKafka } from "./kafka.mjs";
import { obtainNats } from "./nats.mjs";
import { CannotBeHad } from "./obtain.mjs";
import { obtainRedis } from "./redis.mjs";

const SERVERS = { redis: obtainRedis, nats: obtainNats, kafka: obtainKafka, chromium: obtainChromium };
const OPTIONAL = { chromium: "the client is not tested in a browser" };

const asked = process.argv.slice(2);
const names = asked.length > 0 ? asked : Object.keys(SERVERS);
for (const name of names) {
  if (SERVERS[name] === undefined)
    throw new Error(`unknown server ${name}: there are ${Object.keys(SERVERS).join(", ")}`);
}
await Promise.all(
  names.map(async (name) => {
    try {
      const { version, from, program, classPath } = await SERVERS[name]();
      console.log(`${name} ${version} from ${from}: ${program ?? classPath}`);
    } catch (error) {
      if (!(error instanceof CannotBeHad)) throw error;
      const missed = asked.length > 0 ? undefined : OPTIONAL[name];
      console.log(missed === undefined ? error.message : `skipped, ${missed}: ${error.message}`);
      if (missed === undefined) process.exitCode = 1;
    }
  }),
);
