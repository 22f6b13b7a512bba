/** The contract of configuration stores, kept by those that need no server. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFileStore } from "../../src/config/store/file.ts";
import { MemoryStore } from "../../src/config/store/memory.ts";
import { dynamicContext } from "../../src/dynamic-context.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { configStoreContract } from "./config-store.ts";

const common = { context: dynamicContext(), clock: systemClock() };

configStoreContract("memory", (text, log) => {
  const store = new MemoryStore({ ...common, text, log });
  return { store, put: (next) => store.put(next), close: () => undefined };
});

configStoreContract("file", (text, log) => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-store-"));
  const path = join(folder, "config.json");
  const put = (next: string): void => writeFileSync(path, next);
  put(text);
  const store = createFileStore({ ...common, path, log, pollMs: 5 });
  return { store, put, close: () => rmSync(folder, { recursive: true, force: true }) };
});
