/** The WebSocket protocol itself: the cases of the Autobahn suite against our listener. Compression has its own run. */
import { expect, test } from "bun:test";
import { judge } from "../autobahn/cases.ts";
import { startEcho } from "../autobahn/echo.ts";
import { KNOWN } from "../autobahn/known.ts";

/** The first time, the suite is installed; a busy machine takes several times the 7 s of an idle one. */
const MS_MAX = 240_000;

test(
  "autobahn - every case ends with OK, or as its reason says",
  async () => {
    using echo = startEcho();
    const { cases, ok, faults } = await judge(echo.port, { exclude: ["12.*", "13.*"] });
    expect(faults).toEqual([]);
    expect(echo.failures).toEqual([]);
    expect([cases, ok]).toEqual([301, 301 - Object.keys(KNOWN).length]);
  },
  MS_MAX,
);

test(
  "autobahn - a server that answers something else fails",
  async () => {
    const deaf = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 400 })),
      websocket: { message: (socket) => void socket.send("something else") },
    });
    try {
      const { cases, ok, faults } = await judge(deaf.port!, { include: ["1.1.2"], again: 0 });
      expect([cases, ok, faults.length]).toEqual([1, 0, 1]);
      expect(faults[0]).toMatch(/^case 1\.1\.2 ended with FAILED, .* it should be OK, closed OK$/);
    } finally {
      await deaf.stop(true);
    }
  },
  MS_MAX,
);
