import { expect, test } from "bun:test";
import { GatewayError } from "./errors.ts";
import { parseHostPort, readRedisSettings, redisError, redisHostPort } from "./redis-address.ts";

const failed = (message: string, code?: string): Error => Object.assign(new Error(message), code ? { code } : {});

test("redis error - what Node, Bun and Redis say becomes one sentence and a code", () => {
  const cases: readonly [unknown, string, string][] = [
    [failed("connect ECONNREFUSED 127.0.0.1:1", "ECONNREFUSED"), "REDIS_UNREACHABLE", "nobody listens at h:1"],
    [failed("getaddrinfo ENOTFOUND h", "ENOTFOUND"), "REDIS_UNREACHABLE", "the host of h:1 is not known"],
    [failed("connect ETIMEDOUT", "ETIMEDOUT"), "REDIS_UNREACHABLE", "h:1 does not answer"],
    [failed("NOAUTH Authentication required."), "REDIS_AUTH", "h:1 wants a password"],
    [failed("WRONGPASS invalid username-password pair"), "REDIS_AUTH", "refuses the name or password"],
    [failed("NOPERM No permissions to access a key"), "REDIS_PERMISSION", "may not do that"],
    [failed("self-signed certificate", "DEPTH_ZERO_SELF_SIGNED_CERT"), "REDIS_TLS", "no TLS with h:1 (self-signed"],
    [failed('Protocol error, got "H" as reply type byte'), "REDIS_PROTOCOL", "does not speak like Redis"],
    [failed("LOADING Redis is loading the dataset in memory"), "REDIS_LOADING", "still loading"],
    [failed("WRONGTYPE Operation against a key"), "REDIS_TYPE", "WRONGTYPE"],
    [failed("READONLY You can't write against a read only replica."), "REDIS_READONLY", "is a replica"],
    [failed("Connection is closed."), "REDIS_LOST", "h:1 closed the connection"],
    [failed("All sentinels are unreachable. Last error: connect ECONNREFUSED"), "REDIS_SENTINEL", "no sentinel"],
    [failed("ERR max number of clients reached"), "REDIS_ERROR", "h:1: ERR max number of clients reached"],
    [
      Object.assign(failed("Failed to refresh slots cache."), {
        lastNodeError: failed("NOAUTH Authentication required."),
      }),
      "REDIS_AUTH",
      "wants a password",
    ],
    ["text", "REDIS_ERROR", "h:1: text"],
  ];
  for (const [error, code, part] of cases) {
    expect(redisError(error, "h:1")).toMatchObject({ code, message: expect.stringContaining(part) });
  }
  const ours = new GatewayError("REDIS_TIMEOUT", "x");
  expect(redisError(ours, "h:1")).toBe(ours);
});

test("redis address - hosts and ports, IPv6 too", () => {
  expect(readRedisSettings({ servers: ["[2001:db8::1]:7000", "h"] }).servers.map(redisHostPort)).toEqual([
    "[2001:db8::1]:7000",
    "h:6379",
  ]);
  expect(parseHostPort("[::1]:1")).toEqual({ host: "::1", port: 1 });
  expect(parseHostPort("h:80")).toEqual({ host: "h", port: 80 });
  for (const text of ["h", "h:", "::1:1", ""]) expect(parseHostPort(text)).toBeNull();
  for (const text of ["", "redis://", "nats://h", "redis://h/x", "h:99999"]) {
    expect(() => readRedisSettings({ servers: [text] })).toThrow("is no address of a Redis server");
  }
});
