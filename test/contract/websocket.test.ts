import type { Source } from "../../src/ingest/source.ts";
import { createWebSocket, type Link } from "../../src/ingest/websocket/mod.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { type ServerSession, SocketServer } from "../venue/socket-server.ts";
import { sourceContract } from "./source.ts";

const RECORDS = 5000;

/** Says everything at once; on `/bad` every third frame is garbage. */
const server = await SocketServer.start({
  opened(session: ServerSession) {
    for (let n = 0; n < RECORDS; n++) {
      session.send(session.path === "/bad" && n % 3 === 0 ? "\u0000garbage" : `{"n":${n}}`);
    }
  },
  received: () => undefined,
  closed: () => undefined,
  get: () => null,
});

const link = (path: string): Link => ({
  name: "",
  path,
  hello: ['{"subscribe":"everything"}'],
  silenceMs: 10_000,
  ping: "ping",
  books: { by: "none" },
  refusal: /^error/,
});

const open = (path = "", base = server.ws): Source =>
  createWebSocket({
    name: "test",
    link: link(path),
    base,
    rest: null,
    symbolOf: new Map(),
    clock: systemClock(),
    random: Math.random,
  });

sourceContract("websocket", {
  open: () => open(),
  endsAfter: null,
  bad: { open: () => open("/bad"), records: RECORDS },
  failing: () => open("", "http://127.0.0.1"),
  close: () => server.stop(),
});
