import { expect, test } from "bun:test";
import { GatewayError } from "./errors.ts";
import { createFakeClock } from "./fake-clock.ts";
import { Outage, REMIND_MS } from "./outage.ts";

function stage(isToldElsewhere?: () => boolean) {
  const clock = createFakeClock();
  const lines: [string, unknown][] = [];
  const keep = (message: string, fields?: unknown): void => void lines.push([message, fields]);
  const outage = new Outage({
    ...{ clock, log: { info: keep, warn: keep }, away: "away", back: "back", fields: { of: "k" } },
    ...(isToldElsewhere === undefined ? {} : { isToldElsewhere }),
  });
  return { clock, lines, outage };
}

const refused = new GatewayError("X", "nobody listens: start it");

test("outage - one line when it goes, a reminder with the attempts, one line when it is back", () => {
  const { clock, lines, outage } = stage();
  outage.worked();
  for (let ms = 0; ms <= REMIND_MS; ms += 500) {
    outage.failed(refused, { node: 1 });
    clock.advance(500);
  }
  outage.worked();
  outage.worked();
  const fields = { of: "k", node: 1, error: "nobody listens: start it" };
  const seconds = REMIND_MS / 1000;
  expect(lines).toEqual([
    ["away", fields],
    ["away", { ...fields, attempts: seconds * 2 + 1, seconds }],
    ["back", { of: "k", attempts: seconds * 2 + 1, seconds: seconds + 0.5 }],
  ]);
  outage.failed(refused);
  expect(lines.at(-1)).toEqual(["away", { of: "k", error: "nobody listens: start it" }]);
});

test("outage - another reason is told at once, reasons that take turns are not; of many the rest waits", () => {
  const { clock, lines, outage } = stage();
  const at = (count: number): GatewayError => new GatewayError("X", `nobody listens on ${count}`);
  for (let attempt = 0; attempt < 10; attempt++) outage.failed(at(attempt % 2));
  expect(lines.map(([, fields]) => (fields as { error: string }).error)).toEqual([at(0).message, at(1).message]);
  for (let count = 2; count < 100; count++) outage.failed(at(count));
  expect(lines.length).toBe(8);
  clock.advance(REMIND_MS);
  outage.failed(at(100));
  expect(lines.at(-1)).toMatchObject(["away", { error: at(100).message, attempts: 109 }]);
});

test("outage - an error that nobody expected is told with its stack, once", () => {
  const { clock, lines, outage } = stage();
  const odd = new TypeError("x is not a function");
  outage.failed(odd);
  clock.advance(REMIND_MS);
  outage.failed(odd);
  expect(lines).toMatchObject([
    ["away", { error: odd }],
    ["away", { error: odd.message }],
  ]);
});

test("outage - what is told elsewhere is counted, and told here when it is not any more", () => {
  let elsewhere = true;
  const { lines, outage } = stage(() => elsewhere);
  outage.failed(refused);
  outage.worked();
  expect(lines).toEqual([]);
  outage.failed(refused);
  elsewhere = false;
  outage.failed(refused);
  outage.worked();
  expect(lines).toMatchObject([
    ["away", { of: "k" }],
    ["back", { attempts: 2 }],
  ]);
});
