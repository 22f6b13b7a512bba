/**
 * What both commands need first: the packages of package-lock.json in node_modules, and the Bun binary among them.
 *
 * Plain Node >= 20, no dependencies. Nothing is stored beside what npm writes itself: node_modules/.package-lock.json
 * says what is installed, and it is compared with package-lock.json. Install scripts of packages are not run.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = realpathSync(join(dirname(fileURLToPath(import.meta.url)), ".."));
const modules = join(root, "node_modules");
const windows = process.platform === "win32";

/** Headers up to 128 KiB: official Binance connectors reconnect with all their streams in the query (about 24 KiB). */
export const bunFlags = ["--max-http-header-size=131072"];

/** Prints one line and ends the process. */
export function stop(message, status = 1) {
  process.stderr.write(`${message}\n`);
  process.exit(status);
}

/**
 * Installs what is missing; silent if nothing is. `dev`: the packages that only tests need too.
 * Two commands started at once install one after the other.
 */
export async function ensureInstalled({ dev }) {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20) stop(`tidegate needs Node 20 or newer to start; this is ${process.version}`);
  if (missing(dev).length > 0) {
    const release = await lockInstall();
    try {
      if (missing(dev).length > 0) await install(dev);
    } finally {
      release();
    }
  }
  linkCommands();
}

async function install(dev) {
  const fresh = !existsSync(join(modules, ".package-lock.json"));
  // `npm ci` empties node_modules first, so it is for a fresh checkout only: a node may be running from this one.
  const args = [fresh ? "ci" : "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  args.push("--no-update-notifier", "--no-progress");
  if (!fresh) args.push("--no-save");
  if (fresh && !dev) args.push("--omit=dev");
  const started = performance.now();
  process.stderr.write(`installing packages (npm ${args[0]}) ...\n`);
  const { status, output } = await capture(windows ? "npm.cmd" : "npm", args, { cwd: root, shell: windows });
  if (status !== 0) {
    process.stderr.write(output);
    stop(`npm ${args[0]} failed with status ${status}: is the npm registry reachable? (npm config get registry)`);
  }
  const left = missing(dev);
  if (left.length > 0)
    stop(`npm ${args[0]} did not install ${left.slice(0, 5).join(", ")}: remove node_modules and retry`);
  process.stderr.write(`installed in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
}

/** Packages of package-lock.json that node_modules lacks or has in another version. */
function missing(dev) {
  const wanted = readLock(join(root, "package-lock.json"));
  if (wanted === null) stop("package-lock.json is missing or unreadable: check out the repository again");
  const present = readLock(join(modules, ".package-lock.json")) ?? {};
  const left = [];
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "" || (entry.dev && !dev)) continue;
    const have = present[path];
    // Optional packages are those of other platforms; npm leaves them out.
    if (have === undefined ? !entry.optional && !entry.devOptional : have.version !== entry.version) left.push(path);
  }
  return left;
}

function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages ?? null;
  } catch (error) {
    if (error.code === "ENOENT" || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** One installer at a time; a lock whose process is gone is taken over. Returns the release. */
async function lockInstall() {
  const path = join(root, ".cache", "install.lock");
  mkdirSync(dirname(path), { recursive: true });
  for (let told = false; ; ) {
    try {
      writeFileSync(path, String(process.pid), { flag: "wx" });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isAbandoned(path)) {
      rmSync(path, { force: true });
      continue;
    }
    if (!told) process.stderr.write("waiting for another install in this folder ...\n");
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function isAbandoned(path) {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    // Its writer may be between creating and filling it.
    if (pid === 0) return Date.now() - statSync(path).mtimeMs > 5000;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

/** `npx tidegate` and `node_modules/.bin/bun` work without npm's install scripts. */
function linkCommands() {
  if (windows) return;
  const tidegate = join(modules, ".bin", "tidegate");
  if (!existsSync(tidegate)) link(join(root, "scripts", "tidegate.mjs"), tidegate);
  // Without its install script the package `bun` holds a text of a few hundred bytes where the binary belongs.
  const bun = join(modules, ".bin", "bun");
  if (!existsSync(bun) || statSync(bun).size < 1_000_000) link(findBun(), bun);
}

function link(target, path) {
  rmSync(path, { force: true });
  try {
    symlinkSync(target, path);
  } catch (error) {
    // Another command of this checkout made it in the meantime.
    if (error.code !== "EEXIST") throw error;
  }
}

let bunFound = "";

/** The Bun binary: that of the installed platform package, wherever npm put it. */
export function findBun() {
  if (bunFound !== "") return bunFound;
  const scope = join(modules, "@oven");
  const name = windows ? "bun.exe" : "bun";
  const candidates = existsSync(scope) ? readdirSync(scope).map((folder) => join(scope, folder, "bin", name)) : [];
  candidates.push(join(modules, ".bin", name));
  // A package of another libc or processor may lie beside ours: the one that runs is the one.
  for (const path of candidates) {
    if (existsSync(path) && spawnSync(path, ["--version"]).status === 0) {
      bunFound = path;
      return path;
    }
  }
  return stop(`no Bun binary runs on ${process.platform} ${process.arch}: see https://bun.com/docs/installation`);
}

/**
 * Runs a command to its end and keeps what it says; `heard` gets all of it so far, as it comes. After `limitMs` the
 * command is ended.
 */
export function capture(command, args, { heard = () => undefined, limitMs = 0, ...options }) {
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    const take = (chunk) => {
      output += chunk;
      heard(output);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const end = () => {
      output += `not over after ${limitMs / 60_000} minutes: ended\n`;
      child.kill("SIGKILL");
    };
    const timer = limitMs > 0 ? setTimeout(end, limitMs) : undefined;
    const over = (status, more) => {
      clearTimeout(timer);
      resolve({ status, output: output + more });
    };
    child.on("error", (error) => over(1, `${error.message}\n`));
    child.on("close", (status, signal) => over(status ?? 1, signal ? `${signal}\n` : ""));
  });
}

/**
 * Becomes `bun <args>` as far as Node can: same terminal, signals forwarded, same exit status; whoever ends us ends Bun.
 */
export function runBun(args) {
  const byNpm = ["start", "tail", "tidegate", "services"].includes(process.env.npm_lifecycle_event ?? "");
  // npm moves to the package's folder: files are named from where the user stands.
  const cwd = byNpm && existsSync(process.env.INIT_CWD ?? "") ? process.env.INIT_CWD : process.cwd();
  const child = spawn(findBun(), ["--no-orphans", ...bunFlags, ...args], { cwd, stdio: "inherit" });
  const signals = windows ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  if (byNpm) onParentGone(() => child.kill("SIGTERM"));
  child.on("error", (error) => stop(`cannot run ${findBun()}: ${error.message}`));
  child.on("exit", (status, signal) => {
    if (signal === null) process.exit(status ?? 1);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

/** npm runs us in a shell that takes npm's SIGTERM for itself and dies of it: then it was meant for us. */
function onParentGone(call) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    call();
  }, 200);
}
