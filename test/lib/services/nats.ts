/** A real NATS server; with JetStream its streams survive a restart. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { answer, hasLine, type TlsFiles } from "./greeting.ts";
import { obtain } from "./obtain.ts";
import { RealServer } from "./server.ts";

export interface NatsOptions {
  /** Default true. */
  readonly jetstream?: boolean;
  readonly tls?: TlsFiles;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Has it if it is free. */
  readonly port?: number;
  readonly folder?: string;
  /** More lines of its configuration: `max_payload: 2MB`. */
  readonly settings?: readonly string[];
}

export class NatsServer extends RealServer {
  /** `nats://127.0.0.1:<port>`, without credentials. */
  get url(): string {
    return `nats://${this.host}:${this.port}`;
  }
}

export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const { program, env, version, from } = await obtain("nats");
  const { jetstream = true, tls, user, password, token, settings = [] } = options;
  const server = new NatsServer({
    name: "nats",
    about: `${version} from ${from}`,
    port: options.port,
    folder: options.folder,
    prepare(port, folder) {
      const lines = [`listen: "127.0.0.1:${port}"`];
      // Every write is on the disk's way before it is acknowledged: a killed server loses nothing it has promised.
      if (jetstream) lines.push(`jetstream { store_dir: ${JSON.stringify(join(folder, "jetstream"))} }`);
      if (tls !== undefined) lines.push(tlsBlock(tls, folder));
      if (token !== undefined) lines.push(`authorization { token: ${JSON.stringify(token)} }`);
      else if (user !== undefined)
        lines.push(`authorization { user: ${JSON.stringify(user)}, password: ${JSON.stringify(password ?? "")} }`);
      const path = join(folder, "nats.conf");
      writeFileSync(path, `${[...lines, ...settings].join("\n")}\n`);
      return { program, args: ["-c", path], env };
    },
    listens: "Server is ready",
    // It greets in plain text, also where TLS follows.
    async ready(port) {
      const heard = (await answer({ port, whole: hasLine })).toString();
      return heard.startsWith("INFO ") && (!jetstream || /"jetstream":true/.test(heard));
    },
    readyMsMax: 20_000,
  });
  await server.begin();
  return server;
}

function tlsBlock(tls: TlsFiles, folder: string): string {
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return JSON.stringify(path);
  };
  const lines = [`cert_file: ${file("cert.pem", tls.cert)}`, `key_file: ${file("key.pem", tls.key)}`];
  if (tls.ca !== undefined) lines.push(`ca_file: ${file("ca.pem", tls.ca)}`, "verify: true");
  return `tls { ${lines.join(", ")} }`;
}
