/** The servers under test: the C baseline and the gateway, each a fresh process with the same synthetic load. */
import { type Child, startChild } from "./fanout-child.ts";
import { compiled } from "./fanout-programs.ts";

/** What is published: `channels` named c0.., each `rate` times a second, frames of `size` bytes. */
export interface Shape {
  readonly channels: number;
  readonly rate: number;
  readonly size: number;
  /** Evenly in time instead of all channels in common ticks. */
  readonly spread: boolean;
}

export interface Server {
  readonly pid: number;
  readonly port: number;
  /** Of the gateway. */
  readonly adminPort?: number;
  /** Stops it; a JSON line it ended with, or null. */
  stop(): Promise<unknown>;
}

const READY_MS = 20_000;
const ROOT = `${import.meta.dir}/../..`;

export async function startBaseline(shape: Shape): Promise<Server> {
  const child = startChild([
    compiled("send"),
    ...["--channels", String(shape.channels), "--rate", String(shape.rate), "--size", String(shape.size)],
    ...(shape.spread ? ["--spread"] : []),
  ]);
  const line = await child.line();
  if (line === null) throw new Error(`the C baseline did not start: ${child.errors()}`);
  const { port } = JSON.parse(line) as { port: number };
  return { pid: child.pid, port, stop: () => stopped(child) };
}

/** `command` runs the gateway (default: this checkout's); the arguments of `serve` are put behind it. */
export function startGateway(shape: Shape, command: readonly string[] = gatewayCommand()): Promise<Server> {
  const synthetic = `channels=${shape.channels},rate=${shape.rate},size=${shape.size}${shape.spread ? ",spread" : ""}`;
  return startServe(["--synthetic", synthetic], command);
}

/** A gateway with any source; `flags` are those of `serve` but for the ports. */
export async function startServe(
  flags: readonly string[],
  command: readonly string[] = gatewayCommand(),
): Promise<Server> {
  const [port, adminPort] = freePorts(2) as [number, number];
  const child = startChild([...command, "serve", "--port", String(port), "--admin-port", String(adminPort), ...flags], {
    NODE_ENV: "production",
    TIDEGATE_DRAIN_SECONDS: "0",
  });
  // Its log is not ours, but a full pipe would stop it.
  const drained = (async () => {
    while ((await child.line()) !== null);
  })();
  const end = performance.now() + READY_MS;
  while (!(await isReady(adminPort))) {
    const gone = await Promise.race([drained.then(() => true), Bun.sleep(50).then(() => false)]);
    if (gone || performance.now() > end) {
      await child.stop();
      throw new Error(`the gateway ${gone ? "ended" : "was not ready in 20 s"}: ${child.errors()}`);
    }
  }
  return { pid: child.pid, port, adminPort, stop: () => stopped(child) };
}

export const gatewayCommand = (): string[] => [
  process.execPath,
  "--max-http-header-size=131072",
  `${ROOT}/bin/tidegate.ts`,
];

async function isReady(adminPort: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${adminPort}/readyz`, { signal: AbortSignal.timeout(1000) })).ok;
  } catch (error) {
    // Not listening yet: asked again until READY_MS is over.
    if (error instanceof Error) return false;
    throw error;
  }
}

async function stopped(child: Child): Promise<unknown> {
  const last = (await child.stop()).at(-1);
  return last?.startsWith('{"event":"result"') === true ? JSON.parse(last) : null;
}

/** Ports nobody listens on now, all different. */
function freePorts(count: number): number[] {
  const servers = Array.from({ length: count }, () =>
    Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }),
  );
  const ports = servers.map((server) => server.port);
  for (const server of servers) server.stop(true);
  return ports;
}
