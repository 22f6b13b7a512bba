/** docs/operations.md, "Two nodes by hand", followed literally in an empty folder. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../lib/services/mod.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { ROOT, Terminal } from "../lib/terminal.ts";

const MS_MAX = 180_000;
/** The commands of a section of the page, in its order. */
function commandsOf(page: string, section: string): string[] {
  const text = readFileSync(join(ROOT, "docs", page), "utf8");
  const [, after = ""] = text.split(`\n## ${section}\n`);
  const [inside = ""] = after.split(/\n## /);
  return [...inside.matchAll(/^```sh\n([^`]*)```$/gm)].map(([, command]) => command!.trim());
}

test(
  "operations - two nodes by hand: what Kafka's console producer writes arrives at tail on either node",
  async () => {
    using folder = new TempFolder();
    const commands = commandsOf("operations.md", "Two nodes by hand");
    expect(commands).toHaveLength(5);
    const portOfA = String(await freePort());
    // What the page says, but for ports that others may have.
    const places: [string, string][] = [
      ["8081", String(await freePort())],
      ["9091", String(await freePort())],
    ];
    const run = (command: string, env: Record<string, string> = {}): Terminal => {
      const text = places.reduce((sum, [from, to]) => sum.replaceAll(from, to), command);
      return new Terminal(text, folder.path, env);
    };
    await using services = run(commands[0]!);
    await services.shows(/stop +Ctrl-C/);
    const at = (pattern: RegExp): string => pattern.exec(services.text)?.[1] ?? "";
    places.push(["127.0.0.1:9092", at(/^ +Kafka +(\S+)/m)]);
    places.push(["127.0.0.1:4222", at(/^ +NATS +nats:\/\/(\S+)/m)]);
    places.push(["127.0.0.1:6379", at(/^ +Redis +redis:\/\/(\S+)/m)]);
    await using a = run(commands[1]!, { TIDEGATE_PORT: portOfA, TIDEGATE_ADMIN_PORT: String(await freePort()) });
    await using b = run(commands[2]!);
    await Promise.all([a.shows(/node is up/), b.shows(/node is up/)]);
    await using ofB = run(commands[3]!);
    await using ofA = run(commands[3]!.replace("127.0.0.1:8081", `127.0.0.1:${portOfA}`));
    await using produced = run(commands[4]!);
    expect([await produced.over(), produced.text]).toEqual([0, expect.any(String)]);
    const trade = /\{.*"price":"64000\.10".*\}/;
    const [seenByA, seenByB] = await Promise.all([ofA.shows(trade), ofB.shows(trade)]);
    const { sentUs: _, ...pushOfA } = JSON.parse(seenByA[0]) as Record<string, unknown>;
    const { sentUs: __, ...pushOfB } = JSON.parse(seenByB[0]) as Record<string, unknown>;
    expect(pushOfA).toEqual(pushOfB);
    expect(pushOfA).toMatchObject({ channel: "btcusdt@trade", epoch: expect.any(String), seq: expect.any(Number) });
  },
  MS_MAX,
);
