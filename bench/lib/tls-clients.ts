/**
 * The clients of the TLS benchmark, a program of its own: CONNECTIONS raw sockets that shake hands, offer
 * permessage-deflate, subscribe if they are told to, and count the bytes that come. They decode nothing, so that they take
 * little of the machine; TLS itself they must undo.
 *
 * Prints {"event":"connected", extensions} and, for every byte on stdin, {"event":"bytes"}.
 */
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    port: { type: "string" },
    path: { type: "string" },
    connections: { type: "string" },
    tls: { type: "boolean", default: false },
    /** A text frame to send first. */
    send: { type: "string", default: "" },
  },
});
const connections = Number(values.connections);
const HANDSHAKE = [
  `GET ${values.path} HTTP/1.1`,
  "Host: 127.0.0.1",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
  "\r\n",
].join("\r\n");
/** Connections begun at once: a TLS handshake costs the server a turn. */
const AT_ONCE = 50;

/** A masked text frame; the mask is zero, which leaves the text as it is. */
function frame(text: string): Uint8Array {
  const payload = new TextEncoder().encode(text);
  const length =
    payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 255];
  return Uint8Array.from([0x81, ...length, 0, 0, 0, 0, ...payload]);
}

let bytes = 0;
let open = 0;
let extensions = "none";
const first = values.send === "" ? null : frame(values.send);

function connect(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let head = "";
  let up = false;
  const shake = (socket: Bun.Socket<undefined>): void => void socket.write(HANDSHAKE);
  void Bun.connect<undefined>({
    hostname: "127.0.0.1",
    port: Number(values.port),
    ...(values.tls ? { tls: { rejectUnauthorized: false } } : {}),
    socket: {
      open: values.tls ? () => undefined : shake,
      handshake: shake,
      data(socket, chunk) {
        if (up) {
          bytes += chunk.length;
          return;
        }
        head += chunk.toString("latin1");
        if (!head.includes("\r\n\r\n")) return;
        if (!head.startsWith("HTTP/1.1 101")) reject(new Error(head.split("\r\n")[0]));
        up = true;
        extensions = /^sec-websocket-extensions: *(.*)$/im.exec(head)?.[1] ?? "none";
        if (first !== null) socket.write(first);
        open++;
        resolve();
      },
      close: () => reject(new Error("a connection was closed")),
      error: (_, error) => reject(error),
    },
  }).catch(reject);
  return promise;
}

for (let begun = 0; begun < connections; begun += AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, connections - begun) }, connect));
}
console.log(JSON.stringify({ event: "connected", connections: open, extensions }));
for await (const _ of Bun.stdin.stream()) console.log(JSON.stringify({ event: "bytes", bytes }));
process.exit(0);
