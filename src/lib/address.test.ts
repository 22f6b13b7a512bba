import { expect, test } from "bun:test";
import { AddressRanges, isRange, networkOf, parseAddress, parseAddressAndPort } from "./address.ts";

const text = (written: string) => parseAddress(written)?.toString() ?? null;

test("address - IPv4, IPv6, and IPv4 in IPv6 as IPv4", () => {
  expect(text("10.1.2.3")).toBe("10.1.2.3");
  expect(text("::ffff:10.1.2.3")).toBe("10.1.2.3");
  expect(text("2001:DB8:0:0::1")).toBe("2001:db8::1");
  expect(text("::1")).toBe("::1");
});

test("address - what is none", () => {
  for (const written of [
    "",
    "10.1",
    "0x7f.1",
    "127.1",
    "010.0.0.1",
    "1.2.3.256",
    "host",
    "1.2.3.4:80",
    "::g",
    "1.2.3.4 ",
  ]) {
    expect([written, text(written)]).toEqual([written, null]);
  }
});

test("address - with the port that proxies add", () => {
  const parsed = (written: string) => parseAddressAndPort(written)?.toString() ?? null;
  expect(parsed("1.2.3.4:80")).toBe("1.2.3.4");
  expect(parsed("[2001:db8::1]:80")).toBe("2001:db8::1");
  expect(parsed("[::1]")).toBe("::1");
  expect(parsed("::1")).toBe("::1");
  expect(parsed("unknown")).toBeNull();
  expect(parsed("[1.2.3.4")).toBeNull();
});

test("address - a client is its IPv4 address or the /64 of its IPv6 address", () => {
  const network = (written: string) => networkOf(parseAddress(written)!);
  expect(network("10.1.2.3")).toBe("10.1.2.3");
  expect(network("2001:db8:1:2:3:4:5:6")).toBe(network("2001:db8:1:2::"));
  expect(network("2001:db8:1:2::1")).not.toBe(network("2001:db8:1:3::1"));
  expect(network("::ffff:10.1.2.3")).toBe("10.1.2.3");
});

test("address - ranges of both kinds", () => {
  const ranges = new AddressRanges(["10.0.0.0/8", "192.168.1.7", "2001:db8::/32"]);
  const has = (written: string) => ranges.has(parseAddress(written)!);
  expect(["10.255.0.1", "192.168.1.7", "::ffff:10.0.0.1", "2001:db8:ffff::1"].map(has)).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(["11.0.0.1", "192.168.1.8", "2001:db9::1", "::1"].map(has)).toEqual([false, false, false, false]);
  expect(new AddressRanges(["0.0.0.0/0"]).has(parseAddress("::1")!)).toBe(false);
  expect(ranges.empty).toBe(false);
  expect(new AddressRanges([]).empty).toBe(true);
});

test("address - what is a range", () => {
  expect(["10.0.0.0/8", "::/0", "1.2.3.4", "1.2.3.4/32"].map(isRange)).toEqual([true, true, true, true]);
  expect(["10.0.0.0/33", "::/129", "10/8", "1.2.3.4/", "1.2.3.4/a", "a", ""].map(isRange)).toEqual(
    new Array(7).fill(false),
  );
});
