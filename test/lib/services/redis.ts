/** A real Redis: its data survives a restart, as it is appended to a file at every write. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { answer, type TlsFiles } from "./greeting.ts";
import { obtain } from "./obtain.ts";
import { freePort } from "./port.ts";
import { RealServer } from "./server.ts";

export interface RedisOptions {
  readonly password?: string;
  readonly tls?: TlsFiles;
  /** Has it if it is free. */
  readonly port?: number;
  readonly folder?: string;
  /** A node of a Redis Cluster, alone at first (redis-groups.ts). */
  readonly cluster?: boolean;
  /** More lines of redis.conf: `maxmemory 10mb`. */
  readonly settings?: readonly string[];
}

export class RedisServer extends RealServer {
  readonly #options: RedisOptions;

  constructor(options: RedisOptions, plan: ConstructorParameters<typeof RealServer>[0]) {
    super(plan);
    this.#options = options;
  }

  /** `redis://127.0.0.1:<port>`, with the password if there is one; with TLS rediss. */
  get url(): string {
    const { password, tls } = this.#options;
    const login = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
    return `${tls === undefined ? "redis" : "rediss"}://${login}${this.host}:${this.port}`;
  }
}

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { program, env, version, from } = await obtain("redis");
  const { password, tls, cluster = false, settings = [] } = options;
  const server = new RedisServer(options, {
    name: "redis",
    about: `${version} from ${from}`,
    port: options.port,
    folder: options.folder,
    async prepare(port, folder) {
      const lines = ["bind 127.0.0.1", `dir ${folder}`, "daemonize no", "save ''", ...tlsLines(tls, port, folder)];
      lines.push("appendonly yes", "appendfsync everysec", "auto-aof-rewrite-percentage 0");
      if (tls === undefined) lines.push(`port ${port}`);
      if (password !== undefined) lines.push(`requirepass ${password}`);
      // Its nodes' own port would be `port` + 10,000, where outgoing connections may have it.
      if (cluster) lines.push("cluster-enabled yes", `cluster-port ${await freePort()}`);
      const path = join(folder, "redis.conf");
      writeFileSync(path, `${[...lines, ...settings].join("\n")}\n`);
      return { program, args: [path], env };
    },
    listens: "Ready to accept connections",
    async ready(port) {
      const ask = `${password === undefined ? "" : `AUTH ${password}\r\n`}PING\r\n`;
      const heard = await answer({ port, tls, ask, whole: (bytes) => /\+PONG|-/.test(bytes.toString()) });
      // While it reads its data it answers -LOADING.
      return heard.includes("+PONG");
    },
    readyMsMax: 20_000,
  });
  await server.begin();
  return server;
}

function tlsLines(tls: TlsFiles | undefined, port: number, folder: string): string[] {
  if (tls === undefined) return [];
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const lines = ["port 0", `tls-port ${port}`];
  lines.push(`tls-cert-file ${file("cert.pem", tls.cert)}`, `tls-key-file ${file("key.pem", tls.key)}`);
  lines.push(`tls-ca-cert-file ${file("ca.pem", tls.ca ?? tls.cert)}`);
  lines.push(`tls-auth-clients ${tls.ca === undefined ? "no" : "yes"}`);
  return lines;
}
