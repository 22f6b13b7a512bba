import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createReplay } from "../../src/ingest/replay.ts";
import type { Source } from "../../src/ingest/source.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { sourceContract } from "./source.ts";

const RECORDS = 4000;
const folder = mkdtempSync(join(tmpdir(), "tidegate-replay-"));
const open = (file: string, loop = false): Source =>
  createReplay({ path: join(folder, file), speed: Number.POSITIVE_INFINITY, loop, clock: systemClock() });

const head = "wss://ws.example.com <-> 1618678132.38\n";
const line = (index: number): string => `${1618678133 + index / 100}: {"n":${index}}`;
const lines = Array.from({ length: RECORDS }, (_, index) => line(index));
await Bun.write(join(folder, "good"), `${head}${lines.join("\n")}\n`);
await Bun.write(
  join(folder, "bad"),
  `${head}${lines.map((text, index) => (index % 3 === 0 ? `garbage ${index}` : text)).join("\n")}\n1618678133.1: {"cut`,
);

sourceContract("replay", {
  open: () => open("good"),
  endsAfter: RECORDS,
  bad: { open: () => open("bad"), records: RECORDS + 1 },
  failing: () => open("absent"),
  close: () => rmSync(folder, { recursive: true }),
});

sourceContract("replay, looping", { open: () => open("good", true), endsAfter: null });
