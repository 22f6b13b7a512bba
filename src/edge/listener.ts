/**
 * The listener: one `Bun.serve` per worker, all on the same port.
 *
 * On the path: client -> LISTENER -> session. The kernel spreads connections over the workers (SO_REUSEPORT).
 * Invariants: every request gets an answer that says what is wrong; no compression; pings and idle time are ours
 * (session/heartbeat.ts), not Bun's.
 * At the limit: a frame over `frameBytesMax` closes 1009; an outbox over `outboxBytesMax` closes the socket, with nothing
 * before its last byte skipped (with TLS Bun takes nothing for it any more, but closes it only with its next event:
 * delivery/slow.ts does not wait for that); a connection that has not finished its request, or its TLS handshake, after
 * HANDSHAKE_SECONDS is closed (Bun's own limit, which a slow drip of bytes does not extend).
 */

import { ERRORS } from "../protocol/codes.ts";
import type { Admission } from "./admission/admission.ts";
import { type EdgeConfig, HANDSHAKE_SECONDS } from "./config.ts";
import { limitUnsent } from "./delivery/not-sent.ts";
import type { Broadcaster } from "./hub.ts";
import { type RestForwarder, sentence } from "./rest.ts";
import type { Routes } from "./routes.ts";
import type { Lifecycle } from "./session/lifecycle.ts";
import { Session } from "./session/session.ts";

export interface Listener extends Broadcaster {
  /** Stands in each session it accepted. */
  readonly id: number;
  readonly port: number;
  /** Why slow readers are seen late here; null: they are not. */
  readonly blind: string | null;
  /** No new connections; settles when the last one it accepted is gone. */
  stop(): Promise<void>;
  /** Ends the connections that are left. */
  end(): void;
}

export interface ListenerPorts {
  readonly routes: Pick<Routes, "match" | "paths" | "open">;
  readonly rest: Pick<RestForwarder, "forward">;
  readonly admission: Pick<Admission, "client" | "enter" | "left">;
  readonly lifecycle: Pick<Lifecycle, "opened" | "frame" | "drained" | "pinged" | "closed">;
  readonly nowMs: () => number;
  /** Asked, and counted, for each new session: none is taken. */
  readonly draining: () => boolean;
  /** A sign of life with every frame: a storm of commands in one turn is work, not silence. */
  beat(): void;
  /** A request made the code throw. */
  failed(error: unknown): void;
}

/** Every listening socket of the edge is opened here. */
/** Under Binance's names too: its libraries show nothing else to their user. */
const ONLY_GET = "only GET is answered here";

export function listen(config: EdgeConfig, ports: ListenerPorts, id = 1): Listener {
  const { admission, lifecycle } = ports;
  const server = Bun.serve<Session>({
    hostname: config.host,
    port: config.port,
    reusePort: true,
    ...(config.tls === null ? {} : { tls: { cert: config.tls.cert, key: config.tls.key } }),
    development: false,
    idleTimeout: HANDSHAKE_SECONDS,
    fetch: (request, bun) => answer(request, bun, ports),
    error(error) {
      ports.failed(error);
      return sentence(500, "the request could not be handled");
    },
    websocket: {
      perMessageDeflate: false,
      maxPayloadLength: config.limits.frameBytesMax,
      backpressureLimit: config.limits.outboxBytesMax,
      closeOnBackpressureLimit: true,
      idleTimeout: 0,
      sendPings: false,
      open(socket) {
        socket.data.listener = id;
        lifecycle.opened(socket.data, socket);
      },
      message(socket, data) {
        ports.beat();
        lifecycle.frame(socket.data, data);
      },
      drain: (socket) => lifecycle.drained(socket.data),
      ping: (socket) => lifecycle.pinged(socket.data, false),
      pong: (socket) => lifecycle.pinged(socket.data, true),
      close(socket, code, reason) {
        admission.left(socket.data);
        lifecycle.closed(socket.data, code, reason);
      },
    },
  });
  const port = server.port!;
  return {
    id,
    port,
    blind: limitUnsent(port, config.limits.unsentBytesMax),
    publish: (name, text) => server.publish(name, text),
    stop: () => server.stop(false),
    end: () => void server.stop(true),
  };
}

const { code: DRAINING, message, advice } = ERRORS.NODE_DRAINING;
/** Closed, so that a client that keeps connections makes its next one elsewhere. */
const ELSEWHERE = { "retry-after": "1", connection: "close" };

function answer(
  request: Request,
  server: Bun.Server<Session>,
  ports: ListenerPorts,
): Response | Promise<Response> | undefined {
  // A request without Host (HTTP/1.0) has a bare path for a URL.
  const url = new URL(request.url, "http://localhost");
  const client = ports.admission.client(request, server);
  if (client instanceof Response) return client;
  const route = ports.routes.match(url.pathname);
  if (route === null) {
    const paths = ports.routes.paths();
    return sentence(404, `unknown path ${url.pathname}: the known ones are ${paths.join(", ")}`, { paths });
  }
  if (route.is === "rest") {
    if (request.method !== "GET") return sentence(405, ONLY_GET, { code: -1000, msg: ONLY_GET }, { allow: "GET" });
    return ports.rest.forward(url.pathname, url.search.slice(1));
  }
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    const scheme = url.protocol === "https:" ? "wss" : "ws";
    return sentence(426, `${url.pathname} speaks WebSocket: connect with ${scheme}://`, {}, { upgrade: "websocket" });
  }
  if (ports.draining()) {
    return sentence(503, `${message}: ${advice}`, { code: DRAINING }, ELSEWHERE);
  }
  const door = ports.routes.open(route.endpoint, url.pathname, url.searchParams);
  if (typeof door === "string") return sentence(400, door);
  const session = new Session(door.wire, door.streams, ports.nowMs());
  const refused = ports.admission.enter(session, client, request.headers.get("origin"));
  if (refused !== null) return refused;
  if (server.upgrade(request, { data: session })) return undefined;
  ports.admission.left(session);
  return sentence(400, "the WebSocket handshake is malformed: it needs Sec-WebSocket-Key and version 13");
}
