import { expect, test } from "bun:test";
import { httpOrigin, nodeUrl } from "./url.ts";

test("tail url - a port, a host, an HTTP address or a full URL", () => {
  expect(nodeUrl("8100")).toBe("ws://127.0.0.1:8100/ws/quote/v1");
  expect(nodeUrl(":8100")).toBe("ws://127.0.0.1:8100/ws/quote/v1");
  expect(nodeUrl("gw.example.com:8080")).toBe("ws://gw.example.com:8080/ws/quote/v1");
  expect(nodeUrl("https://gw.example.com")).toBe("wss://gw.example.com/ws/quote/v1");
  expect(nodeUrl("ws://h:1/other")).toBe("ws://h:1/other");
  expect(httpOrigin("wss://h:1/other")).toBe("https://h:1");
});

test("tail url - what is no address is refused by name", () => {
  expect(() => nodeUrl("ftp://x")).toThrow('--url: "ftp://x" is no address');
  expect(() => nodeUrl("ws://")).toThrow("is no address");
  expect(() => nodeUrl("a b")).toThrow("is no address");
});
