import { afterEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { waitFor } from "../../test/lib/wait.ts";
import { Client, type Target } from "./client.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

type Peer = Bun.Socket<{ text: string }>;

/** A server that says what the test wants, byte by byte. */
function serve(answer: (peer: Peer, text: string) => void): number {
  const server = Bun.listen<{ text: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (peer) => {
        peer.data = { text: "" };
      },
      data: (peer, chunk) => {
        peer.data.text += chunk.toString("latin1");
        answer(peer, peer.data.text);
      },
    },
  });
  stops.push(() => server.stop(true));
  return server.port;
}

function accepted(request: string): string {
  const key = /sec-websocket-key: (\S+)/i.exec(request)?.[1] ?? "";
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

const target = (port: number): Target => ({
  hostname: "127.0.0.1",
  port,
  path: "/ws",
  host: `127.0.0.1:${port}`,
  tls: null,
});

function client(port: number): { readonly came: string[]; readonly it: Client } {
  const came: string[] = [];
  const it = new Client(target(port), {
    received: () => undefined,
    opened: () => void came.push("opened"),
    text: (bytes, from, to) => void came.push(`text ${bytes.toString("utf8", from, to)}`),
    ping: () => void came.push("ping"),
    closed: (code, reason, opened) => void came.push(`closed ${code} ${reason} ${opened}`),
    fault: (sentence) => void came.push(`fault ${sentence}`),
  });
  it.connect(null);
  stops.push(() => it.drop());
  return { came, it };
}

const whole = (request: string): boolean => request.includes("\r\n\r\n");

test("load client - a handshake in pieces with the first frame behind it, pings answered, the node's close", async () => {
  let got = "";
  const port = serve((peer, text) => {
    if (text.endsWith("\r\n\r\n")) {
      const bytes = Buffer.concat([
        Buffer.from(accepted(text)),
        Buffer.from([0x81, 2]),
        Buffer.from("hi"),
        Buffer.from([0x89, 1, 112]),
        Buffer.from([0x88, 5, 0x0f, 0xa8, 98, 121, 101]),
      ]);
      peer.write(bytes.subarray(0, 40));
      peer.flush();
      setTimeout(() => peer.write(bytes.subarray(40)), 20);
    } else got = text.slice(text.indexOf("\r\n\r\n") + 4);
  });
  const { came } = client(port);
  await waitFor(
    () => came.length === 4,
    () => came.join(", "),
  );
  expect(came).toEqual(["opened", "text hi", "ping", "closed 4008 bye true"]);
  // A pong of one byte and the answer to the close.
  await waitFor(
    () => got.length >= 7 + 8,
    () => `pong and close, not ${got.length} bytes`,
  );
  expect(Buffer.from(got, "latin1")[0]).toBe(0x8a);
});

test("load client - what is no WebSocket is refused with the reason, once", async () => {
  const answers: readonly (readonly [string, string])[] = [
    ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP 503"],
    ["SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"],
    ["HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: bm8=\r\n\r\n", "wrong Sec-WebSocket-Accept"],
    ["x".repeat(20_000), "the answer to the handshake is too long"],
  ];
  for (const [answer, reason] of answers) {
    const { came } = client(serve((peer, text) => whole(text) && peer.write(answer)));
    await waitFor(() => came.length > 0, reason);
    expect(came).toEqual([`closed 1006 ${reason} false`]);
  }
});

test("load client - nobody there, and a server that hangs up, are told as such", async () => {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = server;
  server.stop(true);
  const nobody = client(port);
  await waitFor(() => nobody.came.length > 0, "a refusal");
  expect(nobody.came).toEqual(["closed 1006 ECONNREFUSED false"]);

  const rude = client(serve((peer, text) => whole(text) && peer.end(accepted(text))));
  await waitFor(() => rude.came.length === 2, "opened and lost");
  expect(rude.came).toEqual(["opened", "closed 1006 connection lost true"]);
});

test("load client - a fault ends the connection, and nothing comes after a drop", async () => {
  const bytes = Buffer.from([0x82, 1, 1]);
  const broken = client(
    serve((peer, text) => text.endsWith("\r\n\r\n") && peer.write(Buffer.concat([Buffer.from(accepted(text)), bytes]))),
  );
  await waitFor(() => broken.came.length === 3, "a fault");
  expect(broken.came).toEqual(["opened", "fault a binary frame", "closed 1002 closed by this side true"]);

  const dropped = client(serve((peer, text) => text.endsWith("\r\n\r\n") && peer.write(accepted(text))));
  await waitFor(() => dropped.it.isOpen, "it opens");
  dropped.it.drop();
  dropped.it.drop();
  expect(dropped.came).toEqual(["opened", "closed 1006 dropped by this side true"]);
});
