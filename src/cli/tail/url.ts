/** Where a node listens, from what a person types: `8100`, `host:8100`, `http://host`, `ws://host/path`. */
import { GatewayError } from "../../lib/errors.ts";

export const DEFAULT_URL = "ws://127.0.0.1:8080/ws/quote/v1";
const DEFAULT_PATH = "/ws/quote/v1";

export function nodeUrl(text: string): string {
  const port = /^:?(\d{1,5})$/.exec(text)?.[1];
  const full = port === undefined ? (/^[a-z]+:\/\//i.test(text) ? text : `ws://${text}`) : `ws://127.0.0.1:${port}`;
  const url = URL.parse(full.replace(/^http/i, "ws"));
  if (url === null || !["ws:", "wss:"].includes(url.protocol) || url.hostname === "") {
    throw new GatewayError("USAGE", `--url: "${text}" is no address, want for example ${DEFAULT_URL}`);
  }
  if (url.pathname === "/") url.pathname = DEFAULT_PATH;
  url.hash = "";
  return url.href;
}

/** The node's HTTP side, for questions that are no stream. */
export const httpOrigin = (url: string): string => new URL(url).origin.replace(/^ws/, "http");
