import { expect, test } from "bun:test";
import { isOriginPattern, Origins } from "./origins.ts";

test("origins - an empty list allows everything; a program without Origin is always allowed", () => {
  expect(new Origins([]).allows("https://evil.example")).toBe(true);
  expect(new Origins(["https://app.example.com"]).allows(null)).toBe(true);
});

test("origins - scheme, host and port are compared whole", () => {
  const origins = new Origins(["https://App.example.com", "http://localhost:5173"]);
  expect(origins.allows("https://app.example.com")).toBe(true);
  expect(origins.allows("http://localhost:5173")).toBe(true);
  for (const other of [
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com.evil.net",
    "https://evilapp.example.com",
    "http://localhost",
    "null",
  ]) {
    expect([other, origins.allows(other)]).toEqual([other, false]);
  }
});

test("origins - a star is everything below a host, and not the host itself", () => {
  const origins = new Origins(["https://*.example.com"]);
  expect(origins.allows("https://a.example.com")).toBe(true);
  expect(origins.allows("https://a.b.example.com")).toBe(true);
  for (const other of [
    "https://example.com",
    "https://.example.com",
    "https://evil.net/x.example.com",
    "http://a.example.com",
  ]) {
    expect([other, origins.allows(other)]).toEqual([other, false]);
  }
});

test("origins - what is a pattern", () => {
  const good = [
    "https://a.b",
    "http://localhost:1",
    "https://*.a.b",
    "null",
    "http://[::1]:80",
    "capacitor://localhost",
  ];
  expect(good.filter((text) => !isOriginPattern(text))).toEqual([]);
  expect(["a.b", "https://", "https://a.b/", "*", "https://a.*"].filter(isOriginPattern)).toEqual([]);
});
