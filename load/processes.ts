/**
 * The parts of a run, in this process or in processes of their own, behind one face.
 *
 * A child gets its plan as the first line of its stdin, then `measure` and `stop`; it writes its tally once a second, and
 * once more at the end. It ends when its stdin does: it never outlives who started it.
 */
import { systemClock } from "../src/lib/clock.ts";
import { GatewayError } from "../src/lib/errors.ts";
import { Part } from "./part.ts";
import type { PartPlan } from "./plan.ts";
import { Tally, type TallyWire } from "./tally.ts";

export interface PartHandle {
  /** Settles when each of its connections was tried once; rejects if the process ends before. */
  readonly tried: Promise<void>;
  /** Its process is gone: `stop` says why. */
  isGone(): boolean;
  /** The newest. */
  tally(): TallyWire;
  measure(): void;
  /** The last tally. */
  stop(): Promise<TallyWire>;
}

export function partHere(plan: PartPlan): PartHandle {
  const part = new Part(plan, systemClock());
  part.start();
  return {
    tried: part.tried,
    isGone: () => false,
    tally: () => part.wire(),
    measure: () => part.measure(),
    stop: () => part.stop(),
  };
}

/** `tried`: each of its connections was. */
interface ChildLine {
  readonly type: "tried" | "tally" | "end";
  readonly tally: TallyWire;
}

const stopMsMax = 20_000;

/** `command` runs `tidegate load --part`. */
export function partElsewhere(plan: PartPlan, command: readonly string[]): PartHandle {
  const child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const say = (line: string): void => {
    child.stdin.write(`${line}\n`);
    child.stdin.flush();
  };
  let newest: TallyWire = new Tally().wire();
  const tried = Promise.withResolvers<void>();
  // Its end may come when nobody waits for this any more.
  tried.promise.catch(() => undefined);
  const ended = (async () => {
    for await (const text of linesOf(child.stdout)) {
      const line = JSON.parse(text) as ChildLine;
      newest = line.tally;
      if (line.type === "tried") tried.resolve();
    }
    const status = await child.exited;
    const broken = new GatewayError("LOAD", `a process of this run ended with status ${status}`);
    tried.reject(broken);
    if (status !== 0) throw broken;
  })();
  let isGone = false;
  ended
    .catch(() => undefined)
    .finally(() => {
      isGone = true;
    });
  say(JSON.stringify(plan));
  return {
    tried: tried.promise,
    isGone: () => isGone,
    tally: () => newest,
    measure: () => say("measure"),
    async stop() {
      say("stop");
      child.stdin.end();
      const hard = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
      await ended.finally(() => clearTimeout(hard));
      return newest;
    },
  };
}

const tallyMs = 1000;

/** What `tidegate load --part` is: resolves when it is over. */
export async function runChild(input: ReadableStream<Uint8Array>, write: (line: string) => void): Promise<void> {
  const say = (line: ChildLine): void => write(`${JSON.stringify(line)}\n`);
  const lines = linesOf(input);
  const first = await lines.next();
  if (first.done === true) return;
  const part = new Part(JSON.parse(first.value) as PartPlan, systemClock());
  part.start();
  void part.tried.then(() => say({ type: "tried", tally: part.wire() }));
  const timer = setInterval(() => say({ type: "tally", tally: part.wire() }), tallyMs);
  for await (const line of lines) {
    if (line === "measure") part.measure();
    if (line === "stop") break;
  }
  clearInterval(timer);
  say({ type: "end", tally: await part.stop() });
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
