/** A WebSocket handshake made by hand: what a client is answered, and a bare session to hold. */
import { connect, type Socket } from "node:net";
import { waitFor } from "./wait.ts";

export interface Upgraded {
  readonly status: number;
  /** In lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** JSON of a refusal; null where there is none. */
  readonly body: { readonly error: string; readonly code: number; readonly limit: string } | null;
  /** The other side has closed the connection. */
  closed(): boolean;
  /** Bytes as they are. */
  write(bytes: Uint8Array): void;
  close(): void;
}

export interface UpgradeOptions {
  readonly path?: string;
  /** Further ones, or others; a list is as many lines. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** The address to connect from, in 127.0.0.0/8. */
  readonly from?: string;
}

export async function upgrade(port: number, options: UpgradeOptions = {}): Promise<Upgraded> {
  const { path = "/ws/quote/v1", headers = {}, from } = options;
  const lines = [
    `GET ${path} HTTP/1.1`,
    "Host: test",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    ...(headers["Sec-WebSocket-Key"] === undefined ? ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="] : []),
    ...Object.entries(headers).flatMap(([name, values]) => [values].flat().map((value) => `${name}: ${value}`)),
  ];
  let text = "";
  let closed = false;
  const socket: Socket = connect(
    { port, host: "127.0.0.1", ...(from === undefined ? {} : { localAddress: from }) },
    () => {
      socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    },
  );
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  // A reset is a close like any other here.
  socket.on("error", () => undefined);
  socket.on("close", () => {
    closed = true;
  });
  await waitFor(
    () => closed || isWhole(text),
    () => `an answer to the handshake, there is ${JSON.stringify(text)}`,
  );
  const [head = "", rest = ""] = text.split("\r\n\r\n");
  const [first = "", ...fields] = head.split("\r\n");
  const pairs = fields.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const status = Number(first.split(" ")[1]);
  return {
    status,
    headers: new Map(pairs),
    body: status === 101 || rest === "" ? null : JSON.parse(rest),
    closed: () => closed,
    write: (bytes) => void socket.write(bytes),
    close: () => void socket.destroy(),
  };
}

/** The head, and as much of a body as the head promises. */
function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
  return text.length >= end + 4 + length;
}
