/**
 * Python client libraries for tests: `node scripts/python.mjs NAME` prints `{"python":"..","path":".."}` as JSON: the
 * interpreter, and the folder to be its PYTHONPATH that holds the library in the version named here.
 *
 * The interpreter is $PYTHON, else python3 on the PATH. A library is installed once, by that interpreter's pip, into a
 * folder of its own in the cache ($TIDEGATE_CACHE, else .cache of this repository): two of them are called `binance`.
 * What is missing is said in one sentence on stderr, with exit status 1. Plain Node >= 20, no dependencies.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const VERSIONS = { "python-binance": "1.0.37", "binance-connector": "3.13.0" };
/** The oldest that both libraries run on. */
const MINOR_MIN = 8;
const PROBE = "import json, platform, sys; print(json.dumps([list(sys.version_info[:2]), platform.platform()]))";

const name = process.argv[2] ?? "";
const version = VERSIONS[name];
if (version === undefined) fail(`usage: node scripts/python.mjs ${Object.keys(VERSIONS).join("|")}`);
const { python, id } = findPython();
const path = join(cacheFolder(), "python", `${name}-${version}-${id}`);
if (!existsSync(path)) install();
process.stdout.write(`${JSON.stringify({ python, path })}\n`);

function cacheFolder() {
  return process.env.TIDEGATE_CACHE ?? join(dirname(fileURLToPath(import.meta.url)), "..", ".cache");
}

/** The interpreter, and what makes its compiled packages its own. */
function findPython() {
  const asked = process.env.PYTHON;
  const command = asked ?? "python3";
  const { status, stdout } = spawnSync(command, ["-c", PROBE], { encoding: "utf8" });
  if (status !== 0) {
    fail(
      asked === undefined
        ? `there is no python3 on the PATH: install Python 3.${MINOR_MIN} or newer with pip (Debian: apt-get install python3 python3-pip), or set PYTHON`
        : `PYTHON=${asked} does not run: set it to an interpreter of Python 3.${MINOR_MIN} or newer`,
    );
  }
  const [[major, minor], platform] = JSON.parse(stdout);
  if (major !== 3 || minor < MINOR_MIN) {
    fail(`${command} is Python ${major}.${minor}: install Python 3.${MINOR_MIN} or newer, or set PYTHON to one`);
  }
  return { python: command, id: `py${major}.${minor}-${platform.replace(/[^\w.]+/g, "-")}` };
}

function install() {
  if (spawnSync(python, ["-m", "pip", "--version"]).status !== 0) {
    fail(`${python} has no pip: install it (Debian: apt-get install python3-pip), or set PYTHON to one that has it`);
  }
  mkdirSync(dirname(path), { recursive: true });
  // Whole or not at all: another test run may be installing the same.
  const fresh = mkdtempSync(`${path}.`);
  process.stderr.write(`installing ${name} ${version} for ${python} ...\n`);
  const args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-conflicts"];
  args.push("--no-input", "--target", fresh, `${name}==${version}`);
  const env = { ...process.env, PIP_ROOT_USER_ACTION: "ignore" };
  const { status, stderr } = spawnSync(python, args, { encoding: "utf8", env });
  if (status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    process.stderr.write(stderr);
    fail(
      `pip could not install ${name} ${version}: is a Python package index reachable? (${python} -m pip config list)`,
    );
  }
  try {
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(path)) throw error;
  }
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}
