import { afterEach, expect, test } from "bun:test";
import { GatewayError } from "../lib/errors.ts";
import { silentLog } from "../lib/log.ts";
import { type AdminServer, startAdmin } from "./server.ts";
import { aView } from "./testing/view.ts";
import type { NodeView } from "./view.ts";

const servers: AdminServer[] = [];
const drains: (number | null)[] = [];
const door = {
  drain(seconds: number | null) {
    drains.push(seconds);
    return { sessions: 3, leftMs: 9000 };
  },
};
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

function start(change: Partial<NodeView> = {}): string {
  const server = startAdmin({ host: "127.0.0.1", port: 0 }, aView(change), door, silentLog);
  servers.push(server);
  return server.url;
}

test("admin - /healthz says the node is alive", async () => {
  const answer = await fetch(`${start()}/healthz`);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ status: "ok", node: "n1", version: "0.0.1" });
});

test("admin - /readyz is 200 or 503 by the parts, with the same JSON", async () => {
  let lagMs = 0;
  const url = start({ loopLagMs: () => lagMs });
  const well = await fetch(`${url}/readyz`);
  expect(well.status).toBe(200);
  expect(await well.json()).toMatchObject({ ready: true });
  lagMs = 5000;
  const ill = await fetch(`${url}/readyz`);
  expect(ill.status).toBe(503);
  expect(await ill.json()).toMatchObject({ ready: false, parts: { loop: { state: "down", lagMs: 5000 } } });
});

test("admin - /metrics is Prometheus text", async () => {
  const answer = await fetch(`${start()}/metrics`);
  expect(answer.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
  expect(await answer.text()).toContain("# TYPE tidegate_sessions gauge\ntidegate_sessions 0\n");
});

test("admin - the first page names the node and the endpoints, as text", async () => {
  const answer = await fetch(`${start({ nodeId: "<b>x" })}/`);
  const html = await answer.text();
  expect(html).toContain('href="/readyz"');
  expect(html).toContain("&#60;b&#62;x");
  expect(html).not.toContain("<b>x");
});

test("admin - an unknown path is a 404 in JSON that names the known ones", async () => {
  const answer = await fetch(`${start()}/nope`);
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ error: { paths: ["/", "/healthz", "/readyz", "/metrics"] } });
});

test("admin - a fault while answering is a 500 and the server goes on", async () => {
  const url = start({
    loopLagMs: () => {
      throw new Error("broken part");
    },
  });
  expect((await fetch(`${url}/readyz`)).status).toBe(500);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

const post = (url: string, body: string, type = "application/json") =>
  fetch(`${url}/api/drain`, { method: "POST", body, headers: { "content-type": type } });

test("admin - POST /api/drain begins the drain and says what there is to close", async () => {
  const url = start();
  drains.length = 0;
  const answer = await post(url, '{"seconds":2.5}');
  expect(answer.status).toBe(202);
  expect(await answer.json()).toEqual({ draining: true, sessions: 3, leftMs: 9000 });
  expect((await post(url, "{}", "application/json; charset=utf-8")).status).toBe(202);
  expect(drains).toEqual([2.5, null]);
});

test("admin - a drain that is asked for wrongly, or by a page in a browser, is refused", async () => {
  const url = start();
  drains.length = 0;
  for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
    expect((await post(url, "{}", type)).status).toBe(415);
  }
  for (const body of ["", "{", "[]", "null", '{"seconds":-1}', '{"seconds":"1"}', '{"secs":1}', '{"seconds":3601}']) {
    expect([body, (await post(url, body)).status]).toEqual([body, 400]);
  }
  expect((await fetch(`${url}/api/drain`)).status).toBe(404);
  expect(
    (await fetch(`${url}/api/drain`, { method: "OPTIONS" })).headers.get("access-control-allow-origin"),
  ).toBeNull();
  expect(drains).toEqual([]);
});

test("admin - a port in use is a GatewayError that names it and the flag", () => {
  const port = Number(new URL(start()).port);
  expect(() => startAdmin({ host: "127.0.0.1", port }, aView(), door, silentLog)).toThrow(
    new GatewayError("PORT", `cannot listen on 127.0.0.1:${port}: try another --admin-port`),
  );
});
