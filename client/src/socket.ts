/** The WebSocket that a connection uses: that of the runtime, or one that is given. */
import { TidegateError } from "./errors.ts";

/** What is needed of a WebSocket; those of browsers, Bun, Node and the package `ws` have it. */
export interface SocketLike {
  readonly readyState: number;
  onopen: unknown;
  onmessage: unknown;
  onerror: unknown;
  onclose: unknown;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export type SocketConstructor = new (url: string) => SocketLike;

export function socketConstructor(given: SocketConstructor | undefined): SocketConstructor {
  const found = given ?? (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
  if (typeof found === "function") return found;
  throw new TidegateError(
    "NO_WEBSOCKET",
    "this runtime has no WebSocket (Node has one since version 22): install the package ws and pass it on, " +
      'import { WebSocket } from "ws"; connect(url, { WebSocket })',
  );
}

const NATIVE_PATH = "/ws/quote/v1";

/** `ws://host:port` or a whole URL, `http` or `ws`; without a path that of the native protocol is taken. */
export function nodeUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new TidegateError("BAD_URL", `"${text}" is no URL, want for example ws://127.0.0.1:8080`);
  }
  const protocol = { "http:": "ws:", "https:": "wss:", "ws:": "ws:", "wss:": "wss:" }[url.protocol];
  if (protocol === undefined)
    throw new TidegateError("BAD_URL", `"${text}" begins with ${url.protocol}, want ws: or wss:`);
  const path = url.pathname === "/" ? NATIVE_PATH : url.pathname;
  return `${protocol}//${url.host}${path}${url.search}`;
}
