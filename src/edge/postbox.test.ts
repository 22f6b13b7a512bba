import { expect, test } from "bun:test";
import type { EdgeToMain } from "../ring/messages.ts";
import { Postbox } from "./postbox.ts";

const leave = (topic: number): EdgeToMain => ({ is: "leave", topic });

test("postbox - what one turn says is one message, in its order; alone it goes as it is", () => {
  const sent: EdgeToMain[] = [];
  const turns: (() => void)[] = [];
  const box = new Postbox(
    (message) => sent.push(message),
    (call) => turns.push(call),
  );
  box.post(leave(1));
  box.post(leave(2));
  expect(sent).toEqual([]);
  turns.shift()?.();
  expect(sent).toEqual([{ is: "batch", messages: [leave(1), leave(2)] }]);
  box.post(leave(3));
  turns.shift()?.();
  expect(sent.at(-1)).toEqual(leave(3));
  expect(turns).toEqual([]);
});

test("postbox - a worker that ends says the last of it", () => {
  const sent: EdgeToMain[] = [];
  const turns: (() => void)[] = [];
  const box = new Postbox(
    (message) => sent.push(message),
    (call) => turns.push(call),
  );
  box.post(leave(1));
  box.flush();
  turns.shift()?.();
  expect(sent).toEqual([leave(1)]);
});
