/** `tidegate drain` against an admin server of the test's own. */
import { afterEach, expect, test } from "bun:test";
import { adminUrl, drain } from "./drain.ts";

const servers: Bun.Server<undefined>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.stop(true);
});

/** Time passes only by sleeping. */
function rig(ready: () => unknown, begin: () => Response = () => begun(3, 2000)) {
  const bodies: unknown[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      if (new URL(request.url).pathname === "/readyz") return Response.json(ready(), { status: 503 });
      bodies.push([request.method, request.headers.get("content-type"), await request.json()]);
      return begin();
    },
  });
  servers.push(server);
  const said: string[] = [];
  let nowMs = 0;
  const world = {
    out: (text: string) => void said.push(text),
    nowMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
  };
  return { bodies, said, world, admin: `http://127.0.0.1:${server.port}` };
}

const begun = (sessions: number, leftMs: number) =>
  Response.json({ draining: true, sessions, leftMs }, { status: 202 });
const draining = (sessions: number) => ({ ready: false, parts: { drain: { sessions, leftMs: 0 } } });

test("drain command - asks, tells once a second what is left, and ends when the node is gone", async () => {
  let asked = 0;
  const r = rig(() => (++asked > 12 ? { ready: true, parts: {} } : draining(1)));
  expect(await drain({ admin: r.admin, seconds: 2.5, wait: true }, r.world)).toBe(0);
  expect(r.bodies).toEqual([["POST", "application/json", { seconds: 2.5 }]]);
  expect(r.said).toEqual([
    "draining: 3 sessions to close within 2 s\n",
    "1 session left\n",
    "1 session left\n",
    "the node has ended after 2.6 s\n",
  ]);
});

test("drain command - without waiting it ends at once, and leaves the time to the node", async () => {
  const r = rig(() => draining(1));
  expect(await drain({ admin: r.admin, seconds: null, wait: false }, r.world)).toBe(0);
  expect(r.bodies).toEqual([["POST", "application/json", {}]]);
  expect(r.said).toHaveLength(1);
});

test("drain command - a node that does not end is status 1 in the end", async () => {
  const r = rig(() => draining(2));
  expect(await drain({ admin: r.admin, seconds: null, wait: true }, r.world)).toBe(1);
  expect(r.said.at(-1)).toBe("the node is still there, 2 sessions left: see its log\n");
});

test("drain command - a refusal and a node that is not there are one sentence", async () => {
  const refusing = rig(
    () => ({}),
    () => Response.json({ error: { message: "no such path" } }, { status: 404 }),
  );
  const ask = (admin: string) => drain({ admin, seconds: null, wait: true }, refusing.world);
  await expect(ask(refusing.admin)).rejects.toMatchObject({
    code: "REFUSED",
    message: `${refusing.admin} answered 404: no such path`,
  });
  servers.splice(0)[0]!.stop(true);
  await expect(ask(refusing.admin)).rejects.toMatchObject({ code: "UNREACHABLE" });
});

test("drain command - an address is what a person types", () => {
  expect(adminUrl("9190")).toBe("http://127.0.0.1:9190");
  expect(adminUrl("host:9190")).toBe("http://host:9190");
  expect(adminUrl("http://host:9190/x")).toBe("http://host:9190");
  for (const wrong of ["", "ftp://host", "http://"]) expect(() => adminUrl(wrong)).toThrow("--admin-url:");
});
