import { expect, test } from "bun:test";
import { Portion } from "./portion.ts";

test("kafka portion - what did not arrive in time is asked for in smaller parts, and in larger ones when they come quickly", () => {
  const portion = new Portion(1000);
  expect(portion.of(4096)).toBe(4096);
  portion.failed();
  expect(portion.of(4096)).toBe(512);
  portion.came(250);
  expect(portion.of(4096)).toBe(512);
  portion.came(249);
  expect(portion.of(4096)).toBe(1024);
  for (let i = 0; i < 10; i++) portion.came(1);
  expect(portion.of(4096)).toBe(4096);
});

test("kafka portion - never nothing", () => {
  const portion = new Portion(1000);
  for (let i = 0; i < 10; i++) portion.failed();
  expect(portion.of(4096)).toBe(8);
  expect(portion.of(100)).toBe(1);
});
