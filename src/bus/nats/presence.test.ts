import { expect, test } from "bun:test";
import { createFakeClock } from "../../lib/fake-clock.ts";
import { Presence } from "./presence.ts";

test("nats bus, presence - what was asked is asked again of a node that begins to serve, or has a new connection", () => {
  const told: string[] = [];
  const presence = new Presence({
    ...{ clock: createFakeClock(), node: "here", lingerMs: 20, serves: () => 0, wants: () => 0 },
    heard: () => undefined,
    greeted: () => told.push("greeted"),
    tick: () => undefined,
    send: () => undefined,
    begun: () => told.push("begun"),
    gone: () => told.push("gone"),
  });
  const hear = (serves: number, hello: boolean): string[] => {
    presence.hear({ node: "there", serves, hello, wants: 0, heads: [] });
    return told.splice(0);
  };
  expect(hear(1, false)).toEqual(["begun"]);
  expect(hear(1, false)).toEqual([]);
  expect(hear(2, true)).toEqual(["greeted", "begun"]);
  expect(hear(0, true)).toEqual(["greeted", "gone"]);
  expect(hear(0, true)).toEqual(["greeted"]);
  presence.close();
});
