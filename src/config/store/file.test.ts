/** A file that changes while it is followed: whole, half written, replaced, broken, gone. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "../../../test/lib/wait.ts";
import { dynamicContext } from "../../dynamic-context.ts";
import { systemClock } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import { silentLog } from "../../lib/log.ts";
import type { ConfigChange } from "../dynamic/diff.ts";
import { createFileStore, DOCUMENT_BYTES_MAX } from "./file.ts";
import type { ConfigStore } from "./store.ts";

let folder = "";
let store: ConfigStore | null = null;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-store-"));
});
afterEach(() => {
  store?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const topics = (rate: number) => ({ topics: [{ topic: "a@trade", rate }] });

/** A store of `config.json`, loaded and watched, with everything it said. */
async function followed(document: unknown) {
  const path = join(folder, "config.json");
  const write = (content: unknown) =>
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  write(document);
  const told: string[] = [];
  const tell = (message: string, fields = {}) => void told.push(`${message} ${JSON.stringify(fields)}`);
  const log = { ...silentLog, info: tell, warn: tell, error: tell };
  store = createFileStore({ path, context: dynamicContext(), clock: systemClock(), log, pollMs: 5 });
  const first = await store.load();
  const changes: ConfigChange[] = [];
  store.watch((change) => changes.push(change));
  return { path, write, told, changes, first, store };
}

const until = (condition: () => boolean): Promise<void> => waitFor(condition, "the change is told");

test("file store - a document that is being written is left alone until it is whole", async () => {
  const { path, changes, store } = await followed(topics(5));
  const text = JSON.stringify(topics(10));
  // Each part comes before two looks can agree on the one before.
  for (let at = 0; at <= text.length; at++) {
    writeFileSync(path, text.slice(0, at));
    if (at % 4 === 0) await Bun.sleep(1);
  }
  await until(() => changes.length === 1);
  expect(changes[0]?.running.topics).toEqual(topics(10).topics);
  expect(store.status().error).toBeNull();
});

test("file store - an editor that replaces the file, and a link that is turned, are seen", async () => {
  const { path, changes } = await followed(topics(5));
  const fresh = join(folder, "fresh");
  writeFileSync(fresh, JSON.stringify(topics(6)));
  renameSync(fresh, path);
  await until(() => changes.length === 1);
  writeFileSync(join(folder, "other"), JSON.stringify(topics(7)));
  symlinkSync(join(folder, "other"), fresh);
  renameSync(fresh, path);
  await until(() => changes.length === 2);
  expect(changes[1]?.running.topics).toEqual(topics(7).topics);
});

test("file store - a file that is gone or too big is told, and taken again when it is back", async () => {
  const { path, write, changes, store } = await followed(topics(5));
  unlinkSync(path);
  await until(() => store.status().refused === 1);
  expect(store.status().error).toContain("cannot be read");
  write(topics(6));
  await until(() => changes.length === 1);
  await Bun.write(path, "");
  // A hole in the file: it has the size and no content.
  const handle = await import("node:fs/promises").then((fs) => fs.open(path, "w"));
  await handle.truncate(DOCUMENT_BYTES_MAX + 1);
  await handle.close();
  await until(() => store.status().error?.includes("want at most") === true);
});

test("file store - the first document must be sound, and its mistakes are named", async () => {
  const path = join(folder, "config.json");
  const options = { path, context: dynamicContext(), clock: systemClock(), log: silentLog };
  const refusal = async (): Promise<string> => {
    const error: unknown = await createFileStore(options)
      .load()
      .then(
        () => null,
        (reason: unknown) => reason,
      );
    expect(error).toBeInstanceOf(GatewayError);
    return (error as GatewayError).message;
  };
  expect(await refusal()).toContain(`${path} cannot be read: `);
  writeFileSync(path, '{"topics":[{"topic":"A@"}]}');
  expect(await refusal()).toContain('topics[0].topic (line 1): "A@" is wrong, want a channel name');
});
