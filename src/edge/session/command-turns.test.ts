import { expect, test } from "bun:test";
import { CommandTurns } from "./command-turns.ts";
import type { Session } from "./session.ts";

function stage(msEach: number) {
  let nowMs = 0;
  const done: string[] = [];
  const failed: string[] = [];
  const turns: (() => void)[] = [];
  const run = (what: string) => {
    nowMs += msEach;
    if (what.endsWith("!")) throw new Error(what);
    done.push(what);
  };
  const commands = new CommandTurns({
    commands: {
      execute: (_session, frame) => run(frame),
      refuse: (_session, frame) => run(`no ${frame}`),
      begin: (_session, streams) => run(`begin ${streams.length}`),
    },
    nowMs: () => nowMs,
    failed: (_session, error) => failed.push((error as Error).message),
    afterTurn: (call) => turns.push(call),
  });
  const turn = () => {
    for (const call of turns.splice(0)) call();
  };
  return { commands, done, failed, turns, turn };
}

const session = (): { open: boolean; closing: number } & Session =>
  ({ open: true, closing: 0 }) as { open: boolean; closing: number } & Session;

test("command turns - a storm is worked off a few milliseconds a turn, in the order it came", () => {
  const { commands, done, turn, turns } = stage(2);
  const [a, b] = [session(), session()];
  commands.begin(a, []);
  for (let i = 0; i < 4; i++) commands.execute(i % 2 === 0 ? a : b, String(i));
  commands.refuse(a, "4", { code: 1302, message: "" });
  expect(done).toEqual(["begin 0", "0", "1"]);
  expect(commands.held).toBe(3);
  turn();
  expect(done).toEqual(["begin 0", "0", "1", "2", "3", "no 4"]);
  // What comes now waits too: this turn's time is spent.
  commands.execute(a, "5");
  expect(done.length).toBe(6);
  turn();
  expect(done.at(-1)).toBe("5");
  turn();
  commands.execute(a, "6");
  expect(done.at(-1)).toBe("6");
  turn();
  turn();
  expect([commands.held, turns.length]).toEqual([0, 0]);
});

test("command turns - who has gone or is being closed is not listened to any more", () => {
  const { commands, done, turn } = stage(10);
  const [a, b, c] = [session(), session(), session()];
  for (const one of [a, b, c]) commands.execute(one, one === a ? "a" : one === b ? "b" : "c");
  expect(done).toEqual(["a"]);
  Object.assign(b, { open: false });
  turn();
  expect(done).toEqual(["a", "c"]);
  commands.execute(a, "again");
  commands.execute(c, "closing");
  Object.assign(c, { closing: 1008 });
  turn();
  turn();
  expect(done).toEqual(["a", "c", "again"]);
});

test("command turns - a fault harms nobody else, at once or later", () => {
  const { commands, done, failed, turn } = stage(10);
  expect(() => commands.execute(session(), "now!")).toThrow("now!");
  commands.execute(session(), "later!");
  commands.execute(session(), "fine");
  turn();
  turn();
  expect([done, failed]).toEqual([["fine"], ["later!"]]);
});

test("command turns - more than may wait is worked off at once", () => {
  const { commands, done } = stage(10);
  const frame = "x".repeat(1024 * 1024);
  for (let i = 0; i < 18; i++) commands.execute(session(), frame);
  expect(done.length).toBeGreaterThan(16);
  expect(commands.held).toBeLessThan(16);
});

test("command turns - a last command waits for those before it, and nothing is heard behind it", () => {
  const { commands, done, turn } = stage(3);
  const [a, b] = [session(), session()];
  for (let i = 0; i < 4; i++) commands.execute(a, String(i));
  const last = () => {
    done.push("last");
    a.open = false;
  };
  commands.end(a, last);
  commands.end(a, last);
  expect([done, commands.ending(a), commands.ending(b)]).toEqual([["0", "1"], true, false]);
  turn();
  turn();
  expect([done, commands.ending(a)]).toEqual([["0", "1", "2", "3", "last"], false]);
  commands.end(b, () => done.push("b at once"));
  expect(done.at(-1)).toBe("b at once");
});
