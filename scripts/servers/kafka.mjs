/**
 * A Kafka broker: `node scripts/servers/kafka.mjs` prints `{"java","classPath","properties","formatted","archive","from",
 * "version"}` as JSON: how to run it, the properties to fill in (kafka/server.properties), a formatted data folder to copy,
 * and an archive of its classes, with which it starts in half the time.
 *
 * $KAFKA_HOME -> kafka-server-start.sh on the PATH -> the cache -> its jars fetched by Maven into the cache -> one sentence.
 * Java: java.mjs. Plain Node >= 20.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { JAVA_MAJOR_MIN, obtainJava } from "./java.mjs";
import { aptInstall, asProgram, CannotBeHad, cached, cacheFolder, lastLine, onPath, run, say } from "./obtain.mjs";

const VERSION = "4.3.1";
/** Files are named by what they are made from, so that a newer one of these makes its own. */
const PREPARED = 1;
const here = join(dirname(fileURLToPath(import.meta.url)), "kafka");
const properties = join(here, "server.properties");
const ARCHIVE_MS_MAX = 60_000;

export async function obtainKafka() {
  const java = await obtainJava();
  if (typeof java === "string") {
    throw new CannotBeHad(
      `there is no Java ${JAVA_MAJOR_MIN} or newer for Kafka (${java}): install one (Debian: apt-get install openjdk-17-jre-headless), or set JAVA_HOME`,
    );
  }
  const { libs, from } = await findJars(java);
  const server = { java: java.java, classPath: join(libs, "*"), properties, from, version: versionIn(libs) };
  const key = createHash("sha256").update([libs, server.version, java.java, java.version, PREPARED].join("\n"));
  const folder = join(cacheFolder(), `kafka-prepared-${key.digest("hex").slice(0, 12)}`);
  const reason = await cached(folder, (fresh) => prepare(server, fresh));
  if (reason !== null) throw new CannotBeHad(`Kafka ${server.version} of ${libs} does not run: ${reason}`);
  const archive = join(folder, "classes.jsa");
  return { ...server, formatted: join(folder, "data"), archive: existsSync(archive) ? archive : null };
}

/** The folder of its jars. */
async function findJars(java) {
  const asked = process.env.KAFKA_HOME;
  if (asked !== undefined) {
    const libs = join(asked, "libs");
    if (versionIn(libs) === null)
      throw new CannotBeHad(`KAFKA_HOME=${asked} has no libs/kafka_*.jar: set it to an unpacked Kafka 4`);
    return { libs, from: "KAFKA_HOME" };
  }
  const script = onPath("kafka-server-start.sh");
  const installed = script === null ? null : join(dirname(realpathSync(script)), "..", "libs");
  if (installed !== null && versionIn(installed) !== null) return { libs: installed, from: "PATH" };

  const folder = join(cacheFolder(), `kafka-${VERSION}`);
  const reason = await cached(folder, (fresh) => fetchJars(java, fresh));
  if (reason !== null) {
    throw new CannotBeHad(
      `Kafka cannot be fetched (${reason}): install Maven (Debian: apt-get install maven), or unpack a Kafka 4 and set KAFKA_HOME`,
    );
  }
  return { libs: join(folder, "lib"), from: "cache" };
}

/** The version in the name of the server's jar, or null. */
function versionIn(libs) {
  if (!existsSync(libs)) return null;
  const names = readdirSync(libs).map((name) => /^kafka_[\d.]+-(\d+\.\d+\.\d+)\.jar$/.exec(name));
  return names.find((match) => match !== null)?.[1] ?? null;
}

/** By Maven, which compares each jar with its checksum; with a repository of its own, as it does not share one. */
async function fetchJars(java, folder) {
  const maven = onPath("mvn") ?? ((await aptInstall("maven")) === null ? onPath("mvn") : null);
  if (maven === null) return "Maven is not on the PATH";
  say(`fetching Kafka ${VERSION} by Maven (about 50 MB) ...`);
  const repository = join(folder, "repository");
  copyFileSync(join(here, "pom.xml"), join(folder, "pom.xml"));
  const args = ["--batch-mode", "--quiet", "--strict-checksums", `-Dmaven.repo.local=${repository}`];
  args.push("dependency:copy-dependencies", `-DoutputDirectory=${join(folder, "lib")}`, "-DincludeScope=runtime");
  const env = java.home === null ? {} : { JAVA_HOME: java.home };
  const { ok, output } = await run(maven, args, { cwd: folder, env, folder });
  if (!ok) return `Maven: ${output.match(/^\[ERROR\] .*/m)?.[0].slice(8) ?? lastLine(output)}`;
  rmSync(repository, { recursive: true });
  return versionIn(join(folder, "lib")) === VERSION ? null : "Maven has not copied its jars";
}

/** Formats a data folder, and starts the server once to write the archive of its classes. */
async function prepare({ java, classPath, version }, folder) {
  say(`preparing Kafka ${version} (once) ...`);
  const data = join(folder, "data");
  const scratch = join(folder, "scratch");
  mkdirSync(scratch);
  const small = ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", classPath];
  const format = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", "dGlkZWdhdGUta2Fma2EtMQ"];
  const [port, controller] = await freePorts();
  const conf = join(scratch, "server.properties");
  const fill = (at) => {
    const text = readFileSync(properties, "utf8").replaceAll("@PORT@", port).replaceAll("@CONTROLLER@", controller);
    writeFileSync(conf, text.replaceAll("@ADVERTISED@", `127.0.0.1:${port}`).replaceAll("@DATA@", at));
  };
  fill(data);
  const formatted = await run(java, [...small, ...format, "-c", conf], { cwd: scratch });
  if (!formatted.ok) return lastLine(formatted.output);
  cpSync(data, join(scratch, "data"), { recursive: true });
  fill(join(scratch, "data"));
  // Without an archive it starts all the same.
  const archive = join(folder, "classes.jsa");
  const made = await runOnce(
    java,
    [`-XX:ArchiveClassesAtExit=${archive}`, "-Xmx256m", ...small.slice(1), "kafka.Kafka", conf],
    scratch,
  );
  rmSync(scratch, { recursive: true });
  return made;
}

/** Until it says that it has started; then it is asked to end. Null, or why it did not start. */
function runOnce(java, args, cwd) {
  return new Promise((settle) => {
    const child = spawn(java, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let started = false;
    const limit = setTimeout(() => child.kill("SIGKILL"), ARCHIVE_MS_MAX);
    const take = (chunk) => {
      output += chunk;
      if (started || !output.includes("Kafka Server started")) return;
      started = true;
      child.kill("SIGTERM");
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", (error) => settle(error.message));
    child.on("close", () => {
      clearTimeout(limit);
      settle(started ? null : lastLine(output));
    });
  });
}

async function freePorts() {
  const servers = [createServer(), createServer()];
  await Promise.all(servers.map((server) => new Promise((done) => server.listen(0, "127.0.0.1", done))));
  const ports = servers.map((server) => String(server.address().port));
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

await asProgram(import.meta.url, obtainKafka);
