/**
 * Python packages for tests: `node scripts/python.mjs NAME` prints `{"python":"..","path":".."}` as JSON: the
 * interpreter, and the folder to be its PYTHONPATH that holds the package in the version named here.
 *
 * The interpreter is $PYTHON, else python3 on the PATH. A package is installed once, by that interpreter's pip, into a
 * folder of its own in the cache ($TIDEGATE_CACHE, else .cache of this repository): two of them are called `binance`.
 * What is missing is said in one sentence on stderr, with exit status 1. Plain Node >= 20, no dependencies.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Version of each, and the oldest Python 3.x that it runs on. */
const PACKAGES = {
  "python-binance": { version: "1.0.37", minor: 8 },
  "binance-connector": { version: "3.13.0", minor: 8 },
  // The cases of the Autobahn test suite.
  kosoku: { version: "0.1.0", minor: 10 },
};
const PROBE = "import json, platform, sys; print(json.dumps([list(sys.version_info[:2]), platform.platform()]))";

const name = process.argv[2] ?? "";
if (PACKAGES[name] === undefined) fail(`usage: node scripts/python.mjs ${Object.keys(PACKAGES).join("|")}`);
const { version, minor: minorMin } = PACKAGES[name];
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
        ? `there is no python3 on the PATH: install Python 3.${minorMin} or newer with pip (Debian: apt-get install python3 python3-pip), or set PYTHON`
        : `PYTHON=${asked} does not run: set it to an interpreter of Python 3.${minorMin} or newer`,
    );
  }
  const [[major, minor], platform] = JSON.parse(stdout);
  if (major !== 3 || minor < minorMin) {
    fail(`${command} is Python ${major}.${minor}: install Python 3.${minorMin} or newer, or set PYTHON to one`);
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
