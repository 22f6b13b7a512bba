import { expect, test } from "bun:test";
import fc from "fast-check";
import { exactNumber, idText } from "./command-id.ts";
import { scanJson } from "./json.ts";

const faults: readonly (readonly [text: string, fault: string])[] = [
  ["", "EOF while parsing a value at 1:0"],
  ["hello", "expected value at 1:1"],
  ['{"a":}', "expected value at 1:6"],
  ['{"a" 1}', "expected `:` at 1:6"],
  ['{"a":1', "EOF while parsing an object at 1:6"],
  ['{"a":1,}', "trailing comma at 1:8"],
  ["{a:1}", "key must be a string at 1:2"],
  ['{"a":1 "b":2}', "expected `,` or `}` at 1:8"],
  ["[1,2", "EOF while parsing a list at 1:4"],
  ["[1,", "EOF while parsing a list at 1:3"],
  ["[1,]", "trailing comma at 1:4"],
  ["[1 2]", "expected `,` or `]` at 1:4"],
  ['"abc', "EOF while parsing a string at 1:4"],
  ['"a\\x"', "invalid escape at 1:4"],
  ['"a\\u12g4"', "invalid escape at 1:4"],
  ["01", "invalid number at 1:2"],
  ["-", "EOF while parsing a value at 1:1"],
  ["-x", "invalid number at 1:2"],
  ["1.", "EOF while parsing a value at 1:2"],
  ["tru", "EOF while parsing a value at 1:3"],
  ["trux", "expected ident at 1:4"],
  ["{} {}", "trailing characters at 1:4"],
  ['{\n  "a": x\n}', "expected value at 2:8"],
];

test.each(faults)("json - %p is wrong where serde says so", (text, expected) => {
  const { fault } = scanJson(text);
  expect(fault === null ? "" : `${fault.what} at ${fault.line}:${fault.column}`).toBe(expected);
});

test("json - nesting is followed to a limit, not to the end of the stack", () => {
  expect(scanJson("[".repeat(60_000)).fault).toEqual({ what: "recursion limit exceeded", line: 1, column: 128 });
});

test("json - finds a fault exactly where JSON.parse does, whatever the text", () => {
  const pieces = fc.array(
    fc.constantFrom(
      ...'{}[]:,"\\/ \n\t\u0001-+.0123456789eEabtrufnls',
      "true",
      "false",
      "null",
      '"a"',
      '{"a":1}',
      "1e5",
      "\\u00e9",
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        pieces.map((list) => list.join("")),
        fc.json({ maxDepth: 5 }),
        fc.string(),
      ),
      (text) => {
        expect(scanJson(text).fault === null).toBe(parses(text));
      },
    ),
    { numRuns: 2000 },
  );
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("json - knows where the top-level fields stand, not the nested ones", () => {
  const text = '{"a":{"id":1}, "id" : "x\\"y" ,"b":[2]}';
  const scan = scanJson(text);
  const at = (name: string) => {
    const span = scan.fields.get(name);
    return span && text.slice(span.start, span.end);
  };
  expect([at("a"), at("id"), at("b"), at("c")]).toEqual(['{"id":1}', '"x\\"y"', "[2]", undefined]);
  expect(scan.end).toBe(text.length);
});

test("command id - an integer too big for a double is echoed digit by digit", () => {
  for (const text of ["9223372036854775807", "-9223372036854775808", "12345678901234567890123"]) {
    const id = exactNumber(Number(text), `{"method":"X","id":${text}}`);
    expect(idText(id)).toBe(text);
  }
  expect(exactNumber(7, '{"id":7}')).toBe(7);
  expect(exactNumber(1.5, '{"id":1.5}')).toBe(1.5);
  expect(exactNumber(1e30, '{"id":1e30}')).toBe(1e30);
});
