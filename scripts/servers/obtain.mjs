/**
 * What the scripts of the servers share: looking for a program, and installing one into the cache.
 *
 * The cache is $TIDEGATE_CACHE, else .cache of this repository. What lies in it is whole: it was made in a temporary folder
 * beside its place and renamed, so that two runs at once do not disturb each other. Everything that is said goes to stderr;
 * stdout is for the answer. Plain Node >= 20, no dependencies.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

export const cacheFolder = () => resolve(process.env.TIDEGATE_CACHE ?? join(here, "..", "..", ".cache"));

/** A server that cannot be had; its message says in one sentence what to install. */
export class CannotBeHad extends Error {}

export const say = (text) => process.stderr.write(`${text}\n`);

/** Runs `obtain` if the module is the program: prints what it returns as JSON, or the sentence of what is missing. */
export async function asProgram(moduleUrl, obtain) {
  const program = process.argv[1];
  if (program === undefined || pathToFileURL(realpathSync(program)).href !== moduleUrl) return;
  try {
    process.stdout.write(`${JSON.stringify(await obtain())}\n`);
  } catch (error) {
    if (!(error instanceof CannotBeHad)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

/** The first executable file of that name on the PATH, or null. */
export function onPath(name) {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, name);
    if (folder !== "" && isExecutable(path)) return path;
  }
  return null;
}

export function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES", "ELOOP"].includes(error.code)) return false;
    throw error;
  }
}

export const isRoot = () => process.getuid?.() === 0;

/** A program that only has to say its version. */
const ANSWER_MS_MAX = 60_000;

/** What a program says, or null if it does not run. */
export function answerOf(program, args, env = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: "utf8",
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: ANSWER_MS_MAX,
  });
  return status === 0 ? `${stdout}${stderr}` : null;
}

/**
 * The folder at `path` of the cache, made by `make(folder)` if it is not there. `make` returns null, or why it could not;
 * then so does this.
 */
export async function cached(path, make) {
  if (existsSync(path)) return null;
  mkdirSync(dirname(path), { recursive: true });
  const fresh = mkdtempSync(`${path}.`);
  try {
    const reason = await make(fresh);
    if (reason !== null) return reason;
    try {
      renameSync(fresh, path);
    } catch (error) {
      // Another run was faster: its folder is as good as ours.
      if (!existsSync(path)) throw error;
    }
    return null;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Runs a command to its end and says every few seconds how much `folder` holds. Its output, and whether it went well. */
export function run(command, args, { env = {}, cwd, folder, limitMs = 10 * 60_000 } = {}) {
  return new Promise((settle) => {
    const started = Date.now();
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const take = (chunk) => {
      output += chunk;
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const progress = setInterval(() => {
      if (folder === undefined) return;
      const seconds = Math.round((Date.now() - started) / 1000);
      say(`  ${(bytesIn(folder) / 1e6).toFixed(0)} MB after ${seconds} s`);
    }, 5000);
    const limit = setTimeout(() => child.kill("SIGKILL"), limitMs);
    const over = (ok) => {
      clearInterval(progress);
      clearTimeout(limit);
      settle({ ok, output });
    };
    child.on("error", (error) => {
      output += error.message;
      over(false);
    });
    child.on("close", (status) => over(status === 0));
  });
}

function bytesIn(folder) {
  let sum = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    // What a command has made may be gone again before we look at it.
    if (entry.isFile()) sum += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }
  return sum;
}

/**
 * Installs a package of the Python package index into `folder`, without what it depends on: pip compares it with the hash
 * that the index names. Null, or why not.
 */
export async function pipInstall(requirement, folder) {
  const python = process.env.PYTHON ?? "python3";
  if (answerOf(python, ["-m", "pip", "--version"]) === null) return `${python} with pip is not there`;
  const quiet = ["--quiet", "--disable-pip-version-check", "--no-warn-conflicts", "--no-input", "--no-compile"];
  const args = ["-m", "pip", "install", ...quiet, "--no-deps", "--only-binary=:all:", "--target", folder, requirement];
  const { ok, output } = await run(python, args, { env: { PIP_ROOT_USER_ACTION: "ignore" }, folder });
  return ok ? null : `pip could not install ${requirement}: ${lastLine(output)}`;
}

/** Installs a Debian package for everybody, as root. Null, or why not. */
export async function aptInstall(name) {
  if (onPath("apt-get") === null) return "there is no apt-get";
  if (!isRoot()) return "apt-get install needs root";
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const args = ["install", "--yes", "--no-install-recommends", name];
  if ((await run("apt-get", args, { env })).ok) return null;
  await run("apt-get", ["update"], { env });
  const { ok, output } = await run("apt-get", args, { env });
  return ok ? null : `apt-get could not install ${name}: ${lastLine(output)}`;
}

export const sha256 = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

export const lastLine = (text) => text.trim().split("\n").at(-1)?.trim() ?? "";
