import { expect, test } from "bun:test";
import { nearest } from "./nearest.ts";

test("nearest - finds a word with a letter missing, added, replaced or swapped", () => {
  const known = ["port", "host", "workers"];
  expect(nearest("prt", known)).toBe("port");
  expect(nearest("portt", known)).toBe("port");
  expect(nearest("pört", known)).toBe("port");
  expect(nearest("prot", known)).toBe("port");
  expect(nearest("wrokres", known)).toBe("workers");
});

test("nearest - a word far from all has none", () => {
  expect(nearest("banana", ["port", "host"])).toBeNull();
  expect(nearest("x", [])).toBeNull();
});
