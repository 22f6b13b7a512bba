/** `npm run services`: says where its data is, starts a server again that dies, goes on without one that cannot be. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RedisDriver } from "../lib/redis-driver.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { ROOT, Terminal } from "../lib/terminal.ts";
import { TEST_MS_MAX, untilWorks } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const services = (more: string, cwd: string): Terminal =>
  new Terminal(`exec node ${join(ROOT, "scripts", "services.mjs")} ${more}`, cwd);

/** Kills the Redis behind `driver` from outside. */
async function kill(driver: RedisDriver): Promise<void> {
  const [, pid] = /^process_id:(\d+)/m.exec(String(await driver.call("INFO", "server")))!;
  process.kill(Number(pid), "SIGKILL");
}

test.concurrent("services - one that dies is told and started again over its data; one that cannot be stays down, and the others go on", async () => {
  using folder = new TempFolder();
  await using shown = services("--only redis,nats", folder.path);
  await shown.shows(/stop +Ctrl-C/);
  const [, data = ""] = await shown.shows(/data +(\S+) \(removed at the end; --data DIR keeps it\)/);
  const [, url = ""] = await shown.shows(/Redis +(redis:\S+)/);
  await using driver = new RedisDriver(url);
  await driver.call("SET", "a", "1");
  await kill(driver);
  await shown.shows(/Redis has ended by itself \(SIGKILL\)\. The end of its log:(.|\n)*Ready to accept connections/);
  await shown.shows(/Redis is started again over its data; the others go on\./);
  await shown.shows(new RegExp(`Redis is back at ${url}`));
  await untilWorks(() => driver.call("PING"));
  expect(await driver.call("GET", "a")).toBe("1");

  writeFileSync(join(data, "redis", "redis.conf"), "nonsense 1\n");
  await kill(driver);
  await shown.shows(/Redis cannot be started again: it stays down, the others go on(.|\n)*nonsense/);
  expect(shown.text).not.toContain("NATS has ended");
  shown.interrupt();
  expect([await shown.over(), existsSync(data)]).toEqual([0, false]);
  expect(shown.text).not.toContain("NATS has ended");
});

test.concurrent("services - with --data what they hold is kept; when none is left this ends too", async () => {
  using folder = new TempFolder();
  await using shown = services("--only redis --data held", folder.path);
  await shown.shows(/stop +Ctrl-C/);
  await shown.shows(new RegExp(`data +${join(folder.path, "held")} \\(kept\\)`));
  const [, url = ""] = await shown.shows(/Redis +(redis:\S+)/);
  await using driver = new RedisDriver(url);
  writeFileSync(join(folder.path, "held", "redis", "redis.conf"), "nonsense 1\n");
  await kill(driver);
  await shown.shows(/None of them is left: this ends too\./);
  expect(await shown.over()).toBe(1);
  expect(existsSync(join(folder.path, "held", "redis", "appendonlydir"))).toBe(true);
});
