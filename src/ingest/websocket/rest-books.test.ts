import { expect, test } from "bun:test";
import { fastClock } from "../../../test/ingest/upstream-rig.ts";
import { waitFor } from "../../../test/lib/wait.ts";
import { silentLog } from "../../lib/log.ts";
import { binance } from "./binance.ts";
import { RestBooks } from "./rest-books.ts";

const frame = (text: string) => ({ text, receivedUs: 0 });
const delta = (symbol: string, U: number, u: number) =>
  frame(
    JSON.stringify({
      stream: `${symbol.toLowerCase()}@depth@100ms`,
      data: { e: "depthUpdate", s: symbol, U, u, b: [], a: [] },
    }),
  );

/** A venue's REST whose answers are given one at a time, each saying the `lastUpdateId` it was released with. */
function heldRest() {
  const open: ((last: number) => void)[] = [];
  const warnings: string[] = [];
  const log = {
    ...silentLog,
    warn: (message: string, fields?: object) => void warnings.push(message, JSON.stringify(fields)),
  };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) =>
      new Promise<Response>((resolve) => {
        if (url.includes("NOPE")) return resolve(new Response('{"code":-1121}', { status: 400 }));
        open.push((lastUpdateId) => resolve(Response.json({ lastUpdateId, bids: [], asks: [] })));
      }),
  });
  let asked = 0;
  const rest = `http://127.0.0.1:${server.port}`;
  const books = binance.links(["BTCUSDT"])[0]?.books;
  if (books?.by !== "rest") throw new Error("Binance's books come by REST");
  const rested = new RestBooks(books, {
    rest,
    tls: undefined,
    clock: fastClock(20),
    wake: () => undefined,
    name: "binance",
    log,
  });
  return {
    books: rested,
    warnings,
    async answer(last: number) {
      await waitFor(() => open.length > asked, "the snapshot is asked for");
      open[asked++]?.(last);
    },
    asked: () => open.length,
    [Symbol.dispose]() {
      rested.stop();
      void server.stop(true);
    },
  };
}

async function taken(books: RestBooks): Promise<string> {
  const frames: string[] = [];
  await waitFor(() => {
    const next = books.take();
    if (next !== null) frames.push(next.text);
    return next !== null;
  }, "a snapshot is handed on");
  return frames.join("");
}

test("rest books - the snapshot comes before the deltas that were held for it", async () => {
  using venue = heldRest();
  venue.books.ask("BTCUSDT");
  const held = delta("BTCUSDT", 6, 7);
  expect(venue.books.holds(held)).toBe(true);
  await venue.answer(6);
  expect(await taken(venue.books)).toContain('"lastUpdateId":6');
  expect(venue.books.take()).toBe(held);
  expect(venue.books.holds(delta("BTCUSDT", 8, 8))).toBe(false);
});

test("rest books - a snapshot older than the first held delta is fetched again", async () => {
  using venue = heldRest();
  venue.books.ask("BTCUSDT");
  venue.books.holds(delta("BTCUSDT", 9, 9));
  await venue.answer(3);
  await venue.answer(9);
  expect(await taken(venue.books)).toContain('"lastUpdateId":9');
});

test("rest books - a snapshot older than what the book had is fetched again: no delta might follow to show it", async () => {
  using venue = heldRest();
  expect(venue.books.holds(delta("BTCUSDT", 6, 7))).toBe(false);
  expect(venue.books.holds(frame('{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT"}}'))).toBe(false);
  venue.books.ask("BTCUSDT");
  await venue.answer(6);
  await venue.answer(8);
  expect(await taken(venue.books)).toContain('"lastUpdateId":8');
  venue.books.ask("BTCUSDT");
  await venue.answer(7);
  await venue.answer(8);
  expect(await taken(venue.books)).toContain('"lastUpdateId":8');
});

test("rest books - a snapshot younger than all that was held for it is where the book stands", async () => {
  using venue = heldRest();
  venue.books.ask("BTCUSDT");
  expect(venue.books.holds(delta("BTCUSDT", 5, 5))).toBe(true);
  await venue.answer(10);
  expect(await taken(venue.books)).toContain('"lastUpdateId":10');
  venue.books.ask("BTCUSDT");
  await venue.answer(7);
  await venue.answer(10);
  venue.books.take();
  expect(await taken(venue.books)).toContain('"lastUpdateId":10');
});

test("rest books - what a held delta continues is enough, whatever number came before", async () => {
  using venue = heldRest();
  venue.books.holds(delta("BTCUSDT", 900, 900));
  venue.books.ask("BTCUSDT");
  venue.books.holds(delta("BTCUSDT", 9, 9));
  await venue.answer(8);
  expect(await taken(venue.books)).toContain('"lastUpdateId":8');
});

for (const [what, text] of [
  ["no JSON", '{"e":"depthUpdate","s":"BTCUS'],
  ["a delta without its numbers", '{"e":"depthUpdate","s":"BTCUSDT","U":null,"u":7}'],
] as const) {
  test(`rest books - a snapshot is fetched again if a frame came meanwhile that may be a delta: ${what}`, async () => {
    using venue = heldRest();
    venue.books.ask("BTCUSDT");
    await waitFor(() => venue.asked() === 1, "the first request");
    expect(venue.books.holds(frame(text))).toBe(false);
    await venue.answer(6);
    await venue.answer(7);
    expect(await taken(venue.books)).toContain('"lastUpdateId":7');
  });
}

test("rest books - readable frames of other kinds do not spoil a snapshot", async () => {
  using venue = heldRest();
  venue.books.ask("BTCUSDT");
  await waitFor(() => venue.asked() === 1, "the first request");
  venue.books.holds(frame('{"result":null,"id":1}'));
  venue.books.holds(frame('{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT"}}'));
  await venue.answer(6);
  expect(await taken(venue.books)).toContain('"lastUpdateId":6');
  expect(venue.asked()).toBe(1);
});

test("rest books - a symbol that the venue refuses is told once, and keeps no other book waiting", async () => {
  using venue = heldRest();
  for (const symbol of ["NOPE", "BTCUSDT"]) venue.books.ask(symbol);
  for (const last of [6, 7]) {
    await venue.answer(last);
    expect(await taken(venue.books)).toContain(`"lastUpdateId":${last}`);
    venue.books.ask("BTCUSDT");
  }
  expect(venue.warnings).toEqual([
    "upstream refuses",
    '{"source":"binance","symbol":"NOPE","reply":"{\\"code\\":-1121}"}',
  ]);
});

test("rest books - an address that gives no books is told with the reason", async () => {
  using venue = heldRest();
  venue.books.ask("BTCUSDT");
  await venue.answer(Number.NaN);
  await venue.answer(6);
  expect(await taken(venue.books)).toContain('"lastUpdateId":6');
  expect(venue.warnings).toEqual([
    "upstream gives no books",
    '{"source":"binance","symbol":"BTCUSDT","error":"the reply is no book"}',
  ]);
});
