import { expect, test } from "bun:test";
import { feed } from "../../../test/feeds.ts";
import { type Book, createBook } from "../../channel/book.ts";
import { parseLine, readLines } from "../replay-file.ts";
import { createKrakenV1 } from "./kraken-v1.ts";

const path = feed("KRAKEN.ws.50.0");

test.skipIf(path === null)("kraken v1 - every checksum of a recorded feed verifies", async () => {
  const mapper = createKrakenV1((_market, spelling) => spelling.toLowerCase().replace("/", ""));
  const books = new Map<string, Book>();
  const counts = { records: 0, snapshots: 0, verified: 0, wrong: 0, malformed: 0 };
  for await (const lines of readLines(path!)) {
    for (const text of lines) {
      const line = parseLine(text);
      if (line.type !== "record") continue;
      counts.records++;
      const mapped = mapper.map(line.text);
      if ("malformed" in mapped || "skipped" in mapped) {
        counts.malformed++;
        continue;
      }
      for (const update of mapped) {
        const book = books.get(update.channel) ?? createBook();
        books.set(update.channel, book);
        if (update.type === "snapshot") {
          counts.snapshots++;
          book.replace(update.data);
        } else if (update.type === "delta") book.apply(update.data);
        book.truncate(update.window!);
        if (update.checksum === undefined) continue;
        if (mapper.checksumOf!(book) === update.checksum) counts.verified++;
        else counts.wrong++;
      }
    }
  }
  expect(counts).toMatchObject({ records: 4321, snapshots: 10, verified: 4269, wrong: 0, malformed: 0 });
  expect([...books.keys()].toSorted()).toEqual(
    ["adaxbt", "ethchf", "grteth", "ksmxbt", "oceanxbt", "omgusd", "sceur", "waveseur", "xbtchf", "xmrusd"].map(
      (symbol) => `${symbol}@depth`,
    ),
  );
});
