/**
 * The bare server of the TLS benchmark, a program of its own: one Bun.serve that publishes the same depth frames to everybody,
 * plain or with TLS, with or without permessage-deflate. Prints its port, then a line for every frame it has published
 * when a byte comes on stdin.
 */
import { parseArgs } from "node:util";
import { selfSigned } from "../../test/venue/certificate.ts";
import { depthFrame } from "./tls-frame.ts";

const { values } = parseArgs({
  options: {
    tls: { type: "boolean", default: false },
    /** "": none; shared, dedicated: Bun's compressors. */
    deflate: { type: "string", default: "" },
    rate: { type: "string" },
    size: { type: "string" },
  },
});
const compressed = values.deflate !== "";
const server = Bun.serve<undefined>({
  hostname: "127.0.0.1",
  port: 0,
  ...(values.tls ? { tls: selfSigned() } : {}),
  fetch: (request, bun) =>
    bun.upgrade(request, { data: undefined }) ? undefined : new Response(null, { status: 400 }),
  websocket: {
    perMessageDeflate: compressed ? { compress: values.deflate as "shared" | "dedicated", decompress: false } : false,
    idleTimeout: 0,
    sendPings: false,
    open: (socket) => void socket.subscribe("frames"),
    message: () => undefined,
  },
});
console.log(JSON.stringify({ event: "up", port: server.port }));

let published = 0;
const startMs = performance.now();
const size = Number(values.size);
setInterval(() => {
  const due = Math.floor(((performance.now() - startMs) * Number(values.rate)) / 1000);
  while (published < due) server.publish("frames", depthFrame(published++, size), compressed);
}, 5);
for await (const _ of Bun.stdin.stream()) console.log(JSON.stringify({ event: "published", published }));
process.exit(0);
