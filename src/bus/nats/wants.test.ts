import { expect, test } from "bun:test";
import fc from "fast-check";
import { createFakeClock } from "../../lib/fake-clock.ts";
import { LEAVES, OtherWants, OwnWants, type WantsFrame } from "./wants.ts";

/** One node that wants, one that listens; what is said in between is in our hands. */
function pair() {
  const clock = createFakeClock();
  const said: WantsFrame[] = [];
  const asked: WantsFrame[] = [];
  const own = new OwnWants({ clock, node: "edge", send: (frame) => said.push(frame) });
  const others = new OtherWants({ clock, node: "owner", send: (frame) => asked.push(frame) });
  return {
    ...{ clock, own, others, said, asked },
    /** Hands on what was said, and answers what was asked. */
    deliver(isLost = false): void {
      own.flush();
      for (const frame of said.splice(0)) if (!isLost) others.take(frame);
      others.hear("edge", own.version);
      if (asked.splice(0).some(({ asks }) => asks === "edge")) own.tellAll("owner");
      for (const frame of said.splice(0)) others.take(frame);
    },
  };
}

test("wants - what is entered is wanted until all who entered have left", () => {
  const { own, others, deliver } = pair();
  own.enter("a");
  own.up();
  own.enter("a");
  own.enter("b");
  deliver();
  expect(["a", "b", "c"].map((topic) => others.wanted(topic))).toEqual([true, true, false]);
  own.leave("a");
  own.leave("b");
  own.leave("nothing");
  deliver();
  expect(["a", "b"].map((topic) => others.wanted(topic))).toEqual([true, false]);
  own.leave("a");
  deliver();
  expect(others.wanted("a")).toBe(false);
});

test("wants - changes of one turn are told together, and what changed back is not told", async () => {
  const { own, said } = pair();
  own.up();
  said.length = 0;
  for (const topic of ["a", "b", "c"]) own.enter(topic);
  own.leave("b");
  await null;
  expect(said.map(({ add, drop, full }) => [add, drop, full])).toEqual([[["a", "c"], [], false]]);
  own.enter("d");
  own.leave("d");
  await null;
  expect(said).toHaveLength(1);
});

test("wants - while a list is not known everything is wanted, until it is told", () => {
  const { own, others, said, asked, clock } = pair();
  own.up();
  others.take(said.shift()!);
  expect(others.wanted("x")).toBe(false);
  own.enter("a");
  own.flush();
  said.length = 0;
  own.enter("b");
  own.flush();
  others.take(said.shift()!);
  expect(others.wanted("x")).toBe(true);
  expect(asked.map(({ asks }) => asks)).toEqual(["edge"]);
  // Not asked for at every word.
  others.hear("edge", own.version);
  expect(asked).toHaveLength(1);
  clock.advance(1000);
  others.hear("edge", own.version);
  expect(asked).toHaveLength(2);
  own.tellAll("owner");
  others.take(said.pop()!);
  expect(["a", "b", "x"].map((topic) => others.wanted(topic))).toEqual([true, true, false]);
});

test("wants - nodes that leave, or fall silent, want nothing", () => {
  const { own, others, deliver, clock } = pair();
  own.enter("a");
  own.up();
  deliver();
  others.hear("edge", LEAVES);
  expect(others.wanted("a")).toBe(false);
  deliver();
  expect(others.wanted("a")).toBe(true);
  clock.advance(9000);
  others.sweep();
  expect(others.wanted("a")).toBe(true);
  clock.advance(2000);
  others.sweep();
  expect(others.wanted("a")).toBe(false);
  // A stranger of whom only the presence was heard wants everything.
  others.hear("stranger", 7);
  expect(others.wanted("x")).toBe(true);
  others.hear("stranger", LEAVES);
  expect(others.wanted("x")).toBe(false);
  others.up(300);
  expect(others.wanted("x")).toBe(true);
  clock.advance(300);
  expect(others.wanted("x")).toBe(false);
});

test("wants - whatever is lost on the way, in the end exactly what is wanted is known", () => {
  const step = fc.record({
    topic: fc.constantFrom("a", "b", "c"),
    enters: fc.boolean(),
    flushes: fc.boolean(),
    isLost: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { own, others, deliver, clock } = pair();
      own.up();
      const wants = new Map<string, number>();
      for (const { topic, enters, flushes, isLost } of steps) {
        if (enters) own.enter(topic);
        else own.leave(topic);
        wants.set(topic, Math.max(0, (wants.get(topic) ?? 0) + (enters ? 1 : -1)));
        clock.advance(600);
        if (flushes) deliver(isLost);
      }
      clock.advance(600);
      deliver();
      for (const topic of ["a", "b", "c"]) expect(others.wanted(topic)).toBe((wants.get(topic) ?? 0) > 0);
      expect(others.wanted("x")).toBe(false);
    }),
  );
});
