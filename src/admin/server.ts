/**
 * The admin server: health, readiness and metrics over HTTP, on an address of its own.
 *
 * Beside the path: it reads snapshots of the node; what it can change stands behind `/api/`.
 * At the limit: an unknown path is a 404 in JSON, a fault while answering a 500; neither touches the node.
 */
import { Hono } from "hono";
import { GatewayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type DrainDoor, drainRoute } from "./drain.ts";
import { createMetrics } from "./metrics.ts";
import { ENDPOINTS, page } from "./page.ts";
import { readiness } from "./readiness.ts";
import type { NodeView } from "./view.ts";

export interface AdminServer {
  /** `http://127.0.0.1:9090`. */
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

export interface AdminAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export function createAdminApp(view: NodeView, door: DrainDoor, log: Log): Hono {
  const app = new Hono();
  const metrics = createMetrics(view);
  app.get("/healthz", (context) =>
    context.json({
      status: "ok",
      node: view.nodeId,
      version: view.version,
      uptimeSeconds: Math.round(performance.now() / 1000),
    }),
  );
  app.get("/readyz", (context) => {
    const state = readiness(view);
    return context.json(state, state.ready ? 200 : 503);
  });
  app.get("/metrics", async (context) =>
    context.body(await metrics.metrics(), 200, { "content-type": metrics.contentType }),
  );
  drainRoute(app, door);
  app.get("/", (context) => context.html(page(view)));
  app.notFound((context) =>
    context.json({ error: { message: "no such path", paths: ["/", ...ENDPOINTS.map(([path]) => path)] } }, 404),
  );
  app.onError((error, context) => {
    log.error("admin request failed", { path: context.req.path, error });
    return context.json({ error: { message: "internal error, see the node's log" } }, 500);
  });
  return app;
}

/** Throws GatewayError PORT if it cannot listen there. */
export function startAdmin(address: AdminAddress, view: NodeView, door: DrainDoor, log: Log): AdminServer {
  const app = createAdminApp(view, door, log);
  try {
    const server = Bun.serve({ hostname: address.host, port: address.port, fetch: app.fetch });
    const port = server.port ?? address.port;
    const host = address.host.includes(":") ? `[${address.host}]` : address.host;
    return { url: `http://${host}:${port}`, port, stop: () => server.stop(true) };
  } catch (cause) {
    throw new GatewayError("PORT", `cannot listen on ${address.host}:${address.port}: try another --admin-port`, {
      cause,
    });
  }
}
