import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../../lib/errors.ts";
import { RecordingLog } from "../testing/rig.ts";
import { REDIS_STREAM_PROPERTIES, readRedisStreamProperties } from "./properties.ts";

const read = (properties: Readonly<Record<string, unknown>>, log = new RecordingLog()) =>
  readRedisStreamProperties({ name: "r", properties, log });

test("redis-stream properties - without any the defaults of the table", () => {
  expect(read({})).toMatchObject({
    target: { servers: [{ host: "127.0.0.1", port: 6379 }], db: 0, tls: null, cluster: false, sentinel: null },
    ...{ field: null, start: "earliest", group: null, deadLetters: null, count: 512 },
  });
});

test("redis-stream properties - addresses in all their forms; what is said beside them wins", () => {
  const target = (properties: Readonly<Record<string, unknown>>) => read(properties).target;
  expect(target({ url: "redis://u:p%40s@[::1]:7000/3" })).toMatchObject({
    ...{ servers: [{ host: "::1", port: 7000 }], username: "u", password: "p@s", db: 3, tls: null },
  });
  expect(target({ servers: "a,rediss://b:1", password: "x", db: "2" })).toMatchObject({
    servers: [
      { host: "a", port: 6379 },
      { host: "b", port: 1 },
    ],
    ...{ password: "x", db: 2, tls: {} },
  });
  expect(target({ servers: ["s1"], sentinel: "m" })).toMatchObject({ servers: [{ port: 26_379 }], sentinel: "m" });
  expect(target({ tls: { ca: "/ca", server_name: "n" } }).tls).toEqual({ ca: "/ca", serverName: "n" });
});

test("redis-stream properties - what is wrong is refused by name and shows no secret; the unknown is told once", () => {
  const cases = [
    [{ servers: ["http://a"] }, "no address of a Redis server"],
    [{ url: "redis://:secret@" }, "no address of a Redis server"],
    [{ servers: [] }, "no Redis server is named"],
    [{ cluster: true, db: 1 }, "only database 0"],
    [{ cluster: "maybe" }, '"cluster" must be true or false'],
    [{ tls: 5 }, '"tls" must be'],
    [{ tls: { cacert: "x" } }, 'part "cacert"'],
    [{ start: "now" }, '"start" must be one of earliest, latest'],
    [{ count: 0 }, '"count" must be a number from 1'],
    [{ password: { secret: 1 } }, '"password" must be text'],
  ] as const;
  for (const [properties, sentence] of cases) {
    let error: unknown = null;
    try {
      read(properties);
    } catch (cause) {
      error = cause;
    }
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ code: "BROKER_PROPERTIES", message: expect.stringContaining(sentence) });
    expect(String(error)).not.toContain("secret");
  }
  const log = new RecordingLog();
  read({ passwrd: "secret" }, log);
  expect(log.lines).toMatchObject([{ level: "warn", fields: { property: "passwrd", meant: "password" } }]);
  expect(JSON.stringify(log.lines)).not.toContain("secret");
});

test("redis-stream properties - docs/sources/redis-stream.md has the table", () => {
  const page = readFileSync(join(import.meta.dir, "../../../docs/sources/redis-stream.md"), "utf8");
  for (const { name, type, default: fallback, what } of REDIS_STREAM_PROPERTIES) {
    expect(page).toContain(`| \`${name}\` | ${type} | ${fallback === "" ? "" : `\`${fallback}\``} | ${what} |`);
  }
});
