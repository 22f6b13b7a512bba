import { expect, test } from "bun:test";
import { DEPTH_MAX, Lines, scanJson, spotsOf, textAt } from "./json-scan.ts";

const faultOf = (text: string) => scanJson(text).fault;

test("json scan - sound text has no fault", () => {
  for (const text of ['{"a":[1,-2.5e+3,true,null,"x\\u00e9\\n"],"b":{}}', " [] ", '"\u007f"', "0", "[[]]"]) {
    expect([text, faultOf(text)]).toEqual([text, null]);
  }
});

test("json scan - a fault is told where it stands", () => {
  const cases: [string, number, string][] = [
    ["", 0, "the document ends too early"],
    ['{"a":1', 6, 'want a comma or "}" here'],
    ['{"a" 1}', 5, "want a colon here"],
    ["[1,]", 3, "the comma before it is one too many"],
    ['{"a":1,}', 7, "the comma before it is one too many"],
    ["[1 2]", 3, 'want a comma or "]" here'],
    ["{a:1}", 1, 'want a name in "" here'],
    ["['a']", 1, "texts stand in \"\", not in ''"],
    ["// x\n1", 0, "comments are not allowed in JSON: leave this one out"],
    ['["a\nb"]', 3, "a text ends on its line"],
    ['["a', 3, "the text has no end"],
    ['["\\x"]', 2, "no such escape in a text"],
    ["[01]", 2, "this is no number"],
    ["[1.]", 2, "this is no number"],
    ["[-]", 1, "want a number here"],
    ["[NaN]", 1, "want a value here"],
    ["1 2", 2, "want nothing more behind the value"],
    ["[".repeat(DEPTH_MAX + 2), DEPTH_MAX + 1, `nested deeper than ${DEPTH_MAX}`],
  ];
  for (const [text, offset, message] of cases) expect([text, faultOf(text)]).toEqual([text, { offset, message }]);
});

test("json scan - members that their object has already", () => {
  const text = '{"a":1,"b":[{"c":1,"\\u0063":2}],"a":2}';
  expect(scanJson(text).twice).toEqual([
    { path: ["b", 0, "c"], offset: text.indexOf('"\\u0063"') },
    { path: ["a"], offset: text.lastIndexOf('"a"') },
  ]);
});

test("json scan - values by path, as they are written; what is not there is found by what it would stand in", () => {
  const text = '{"a": [1.50, {"b\\"": 12345678901234567890}], "c": {}}';
  expect(textAt(text, ["a", 0])).toBe("1.50");
  expect(textAt(text, ["a", 1, 'b"'])).toBe("12345678901234567890");
  expect(textAt(text, [])).toBe(text);
  expect(textAt(text, ["a", 2])).toBeNull();
  const spots = spotsOf(text, [["c", "x", "y"], ["none"], ["a", 1]]);
  expect(spots.map(({ start, end }) => text.slice(start, end))).toEqual(["{}", text, '{"b\\"": 12345678901234567890}']);
});

test("json scan - lines and columns", () => {
  const lines = new Lines("ab\n\ncd\n");
  expect([0, 1, 2, 3, 4, 5, 6, 7].map((offset) => Object.values(lines.of(offset)))).toEqual([
    [1, 1],
    [1, 2],
    [1, 3],
    [2, 1],
    [3, 1],
    [3, 2],
    [3, 3],
    [4, 1],
  ]);
});
