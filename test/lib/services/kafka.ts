/**
 * A real Kafka: one process that is broker and controller; its topics survive a restart.
 *
 * Costs about three seconds and 250 MB: one per test file. Topics are not made by asking for them, unless `settings` say
 * `auto.create.topics.enable=true`.
 */
import { randomBytes } from "node:crypto";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { answer, type TlsFiles } from "./greeting.ts";
import { obtain } from "./obtain.ts";
import { freePort } from "./port.ts";
import { RealServer } from "./server.ts";

export interface KafkaOptions {
  /** Has it if it is free. */
  readonly port?: number;
  readonly folder?: string;
  /** The `host:port` that it names to clients, such as a proxy's; else its own. */
  readonly advertised?: string;
  readonly tls?: TlsFiles;
  /** Clients log in with SASL PLAIN. */
  readonly user?: string;
  readonly password?: string;
  /** More lines of server.properties: `auto.create.topics.enable=true`. They win. */
  readonly settings?: readonly string[];
}

/** What scripts/servers/kafka.mjs prints. */
interface ObtainedKafka {
  readonly java: string;
  readonly classPath: string;
  readonly properties: string;
  readonly formatted: string;
  readonly archive: string | null;
  readonly from: string;
  readonly version: string;
}

export class KafkaServer extends RealServer {
  /** `127.0.0.1:<port>`, as bootstrap servers are given. */
  get url(): string {
    return `${this.host}:${this.port}`;
  }
}

const LOG_LEVELS = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.log.kafka=info"];

export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const kafka = await obtain<ObtainedKafka>("kafka");
  const server = new KafkaServer({
    name: "kafka",
    about: `${kafka.version} from ${kafka.from}`,
    port: options.port,
    folder: options.folder,
    async prepare(port, folder) {
      const path = join(folder, "server.properties");
      writeFileSync(path, await propertiesOf(options, kafka, port, folder));
      return { program: kafka.java, args: [...javaFlags(kafka), "kafka.Kafka", path], env: {} };
    },
    listens: "Kafka Server started",
    // Where one has to log in, that it has started must do.
    ready: async (port) => isSecured(options) || (await listsBroker(port)),
    // A busy machine starts a Java program slowly.
    readyMsMax: 60_000,
  });
  await server.begin();
  return server;
}

function javaFlags({ archive, classPath }: ObtainedKafka): string[] {
  const flags = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
  if (archive !== null)
    flags.push(`-XX:SharedArchiveFile=${archive}`, "-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off");
  return [...flags, ...LOG_LEVELS, "-cp", classPath];
}

async function propertiesOf(
  options: KafkaOptions,
  kafka: ObtainedKafka,
  port: number,
  folder: string,
): Promise<string> {
  const data = join(folder, "data");
  if (!existsSync(data)) {
    cpSync(kafka.formatted, data, { recursive: true });
    nameCluster(join(data, "meta.properties"));
  }
  let controller = await freePort();
  while (controller === port) controller = await freePort();
  const text = readFileSync(kafka.properties, "utf8")
    .replaceAll("@PORT@", String(port))
    .replaceAll("@CONTROLLER@", String(controller))
    .replaceAll("@ADVERTISED@", options.advertised ?? `127.0.0.1:${port}`)
    .replaceAll("@DATA@", data);
  return `${[text, ...security(options, folder), ...(options.settings ?? [])].join("\n")}\n`;
}

/** The formatted folder is a copy of one that all have; a cluster's id is its own. */
function nameCluster(path: string): void {
  const id = randomBytes(16).toString("base64url");
  writeFileSync(path, readFileSync(path, "utf8").replace(/^cluster\.id=.*$/m, `cluster.id=${id}`));
}

const isSecured = ({ tls, user }: KafkaOptions): boolean => tls !== undefined || user !== undefined;

function security({ tls, user, password = "" }: KafkaOptions, folder: string): string[] {
  if (tls === undefined && user === undefined) return [];
  const protocol = `${user === undefined ? "" : "SASL_"}${tls === undefined ? "PLAINTEXT" : "SSL"}`;
  const lines = [`listener.security.protocol.map=CLIENTS:${protocol},CONTROLLER:PLAINTEXT`];
  if (user !== undefined) {
    const module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    const own = `username="${user}" password="${password}"`;
    lines.push("sasl.enabled.mechanisms=PLAIN", "sasl.mechanism.inter.broker.protocol=PLAIN");
    lines.push(`listener.name.clients.plain.sasl.jaas.config=${module} required ${own} user_${user}="${password}";`);
  }
  if (tls !== undefined) {
    const file = (name: string, text: string): string => {
      const path = join(folder, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    lines.push("ssl.keystore.type=PEM", `ssl.keystore.location=${file("keystore.pem", `${tls.key}\n${tls.cert}`)}`);
    lines.push("ssl.truststore.type=PEM", `ssl.truststore.location=${file("truststore.pem", tls.ca ?? tls.cert)}`);
    lines.push(`ssl.client.auth=${tls.ca === undefined ? "none" : "required"}`);
    lines.push("ssl.endpoint.identification.algorithm=");
  }
  return lines;
}

/** A Metadata request, version 1, about no topic: an open port alone is not a broker that serves. */
const METADATA = Buffer.from([
  ...[0, 0, 0, 14], // its length
  ...[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff], // Metadata, version 1, correlation 1, no client's name
  ...[0, 0, 0, 0], // no topics
]);

async function listsBroker(port: number): Promise<boolean> {
  const whole = (heard: Buffer): boolean => heard.length >= 4 && heard.length >= 4 + heard.readInt32BE(0);
  const heard = await answer({ port, ask: METADATA, whole });
  return heard.readInt32BE(8) > 0;
}
