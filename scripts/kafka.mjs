/**
 * `npm run kafka -- TOOL ARGUMENTS`: one of Kafka's own tools, as its bin/kafka-TOOL.sh would run it, with the Kafka and Java
 * that scripts/servers/kafka.mjs finds.
 *
 *     npm run kafka -- topics --bootstrap-server 127.0.0.1:9092 --list
 */
import { spawn } from "node:child_process";
import { obtainKafka } from "./servers/kafka.mjs";
import { CannotBeHad } from "./servers/obtain.mjs";

const TOOLS = {
  topics: "org.apache.kafka.tools.TopicCommand",
  "console-producer": "org.apache.kafka.tools.ConsoleProducer",
  "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
  "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
  "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
  "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
};

const [tool = "", ...args] = process.argv.slice(2);
if (TOOLS[tool] === undefined) {
  process.stderr.write(`usage: npm run kafka -- ${Object.keys(TOOLS).join("|")} ARGUMENTS\n`);
  process.exit(2);
}
try {
  const { java, classPath } = await obtainKafka();
  const flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classPath];
  flags.push("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
  const child = spawn(java, [...flags, TOOLS[tool], ...args], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (status) => process.exit(status ?? 1));
} catch (error) {
  if (!(error instanceof CannotBeHad)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
