/** The socket option on real listeners of this process. */
import { afterEach, expect, test } from "bun:test";
import { waitFor } from "../../../test/lib/wait.ts";
import { limitUnsent, unsentLimits } from "./not-sent.ts";

const servers: { stop(): Promise<void>; readonly port: number | undefined }[] = [];

function listen(hostname: string, port = 0): number {
  const server = Bun.serve({ hostname, port, reusePort: true, fetch: () => new Response("") });
  servers.push(server);
  return server.port ?? 0;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

const isLinux = process.platform === "linux";
if (!isLinux) console.warn(`skipped: TCP_NOTSENT_LOWAT is set on Linux only, this is ${process.platform}`);
const onLinux = test.skipIf(!isLinux);

onLinux("not sent - every listener on the port has the limit, others have not", () => {
  const [port, other] = [listen("127.0.0.1"), listen("127.0.0.1")];
  listen("127.0.0.1", port);
  expect(limitUnsent(port, 12_345)).toBeNull();
  expect(unsentLimits(port)).toEqual([12_345, 12_345]);
  expect(unsentLimits(other).every((bytes) => bytes !== 12_345)).toBe(true);
});

onLinux("not sent - IPv6 listeners have it too", () => {
  const port = listen("::1");
  expect(limitUnsent(port, 16_384)).toBeNull();
  expect(unsentLimits(port)).toEqual([16_384]);
});

onLinux("not sent - a port nobody listens on is said to be one", () => {
  const port = listen("127.0.0.1");
  const unused = port === 65_535 ? 1024 : port + 1;
  if (unsentLimits(unused).length > 0) return;
  expect(limitUnsent(unused, 16_384)).toContain(`port ${unused}`);
});

onLinux("not sent - what a client does not read is seen in the outbox", async () => {
  let outbox = -1;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, bun) => (bun.upgrade(request) ? undefined : new Response("")),
    websocket: {
      open(socket) {
        // More than a receiver's first window, far less than what the kernel takes without the option.
        for (let at = 0; at < 1000; at++) socket.send("x".repeat(1000));
        setImmediate(() => {
          outbox = socket.getBufferedAmount();
        });
      },
      message: () => undefined,
    },
  });
  servers.push(server);
  expect(limitUnsent(server.port ?? 0, 16_384)).toBeNull();
  // Never given a chance to read: connect and upgrade by hand, then read nothing.
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port ?? 0,
    socket: { data: (socket) => void socket.pause() },
  });
  client.write(
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
  );
  await waitFor(() => outbox >= 0, "the connection is served");
  expect(outbox).toBeGreaterThan(500_000);
  client.terminate();
});
