/**
 * Has every server of the tests at hand: `node scripts/servers/mod.mjs [redis nats kafka]` says where each is found, or in
 * one sentence what to install; exit status 1 if one cannot be had. Plain Node >= 20, no dependencies.
 */
import { obtainKafka } from "./kafka.mjs";
import { obtainNats } from "./nats.mjs";
import { CannotBeHad } from "./obtain.mjs";
import { obtainRedis } from "./redis.mjs";

const SERVERS = { redis: obtainRedis, nats: obtainNats, kafka: obtainKafka };

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
      console.log(error.message);
      process.exitCode = 1;
    }
  }),
);
