/**
 * The listener of src/edge with sessions that send back what they get: what a test suite of the WebSocket protocol talks to.
 *
 * Invariant: every option of `Bun.serve` is the listener's own. The cases send messages of up to 16 MiB and want them back,
 * so the two limits on bytes are raised; all other limits are the defaults.
 */
import { DEFAULT_EDGE_CONFIG, type EdgeConfig } from "../../src/edge/config.ts";
import { type ListenerPorts, listen } from "../../src/edge/listener.ts";
import { Routes } from "../../src/edge/routes.ts";
import { binance } from "../../src/protocol/binance/mod.ts";
import { native } from "../../src/protocol/native/mod.ts";

const FRAME_BYTES_MAX = 32 * 1024 * 1024;
const OUTBOX_BYTES_MAX = 128 * 1024 * 1024;

export interface EchoServer extends Disposable {
  readonly port: number;
  /** What must not happen: requests that made our code throw, echoes that the outbox did not take. */
  readonly failures: readonly string[];
}

export function startEcho(): EchoServer {
  const failures: string[] = [];
  const { limits } = DEFAULT_EDGE_CONFIG;
  const config: EdgeConfig = {
    ...DEFAULT_EDGE_CONFIG,
    port: 0,
    endpoints: [{ path: "/", dialect: "native", market: "spot", scope: "public" }],
    rest: [],
    limits: { ...limits, frameBytesMax: FRAME_BYTES_MAX, outboxBytesMax: OUTBOX_BYTES_MAX },
  };
  const lifecycle: ListenerPorts["lifecycle"] = {
    opened(session, socket) {
      session.socket = socket;
    },
    frame(session, data) {
      // -1 is queued; 0 is refused.
      if (session.socket.send(data) === 0 && data.length > 0) failures.push(`no room for ${data.length} bytes`);
    },
    drained: () => undefined,
    pinged: () => undefined,
    closed: () => undefined,
  };
  const listener = listen(config, {
    routes: new Routes(config.endpoints, config.rest, { native, binance }),
    rest: { forward: () => new Response(null, { status: 404 }) },
    admission: { client: () => null, enter: () => null, left: () => undefined },
    lifecycle,
    nowMs: () => performance.now(),
    draining: () => false,
    beat: () => undefined,
    failed: (error) => void failures.push(String(error)),
  });
  return { port: listener.port, failures, [Symbol.dispose]: () => listener.stop() };
}
