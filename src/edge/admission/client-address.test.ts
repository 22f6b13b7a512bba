import { expect, test } from "bun:test";
import { AddressRanges, parseAddress } from "../../lib/address.ts";
import { clientAddress } from "./client-address.ts";

const PROXIES = new AddressRanges(["10.0.0.0/8", "fd00::/8"]);

const from = (peer: string, header: string | null, trusted = PROXIES) =>
  clientAddress(parseAddress(peer)!, header, trusted).toString();

test("client address - without trusted proxies the header is only text", () => {
  expect(from("10.0.0.1", "1.1.1.1", new AddressRanges([]))).toBe("10.0.0.1");
});

test("client address - a peer that is not trusted is the client, whatever it claims", () => {
  expect(from("9.9.9.9", "1.1.1.1, 10.0.0.1")).toBe("9.9.9.9");
});

test("client address - the rightmost entry that is not trusted", () => {
  expect(from("10.0.0.1", "1.1.1.1")).toBe("1.1.1.1");
  expect(from("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.2.2.2")).toBe("1.1.1.1");
  expect(from("fd00::1", "6.6.6.6,[2001:db8::7]:443")).toBe("2001:db8::7");
  expect(from("::ffff:10.0.0.1", "1.1.1.1:5555")).toBe("1.1.1.1");
});

test("client address - only trusted entries: the first of them; none: the proxy itself", () => {
  expect(from("10.0.0.1", "10.3.3.3, 10.2.2.2")).toBe("10.3.3.3");
  expect(from("10.0.0.1", null)).toBe("10.0.0.1");
  expect(from("10.0.0.1", "")).toBe("10.0.0.1");
});

test("client address - an entry that cannot be read ends the reading", () => {
  expect(from("10.0.0.1", "1.1.1.1, unknown, 10.2.2.2")).toBe("10.2.2.2");
  expect(from("10.0.0.1", "1.1.1.1, ,")).toBe("10.0.0.1");
});
