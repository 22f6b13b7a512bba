/**
 * `tidegate drain`: asks a node's admin server to drain it, and watches until the node has ended.
 *
 * Ends with status 0 when the node is gone (or at once with `wait: false`), with 1 when it cannot be reached, refuses, or
 * is still there LATE_MS after it should have ended.
 */
import { GatewayError } from "../lib/errors.ts";

export interface DrainRequest {
  /** Of the admin server: `http://127.0.0.1:9090`. */
  readonly admin: string;
  /** Null: as long as the node is set up to take. */
  readonly seconds: number | null;
  readonly wait: boolean;
}

export interface DrainWorld {
  out(text: string): void;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

interface State {
  readonly sessions: number;
  readonly leftMs: number;
}

const POLL_MS = 200;
const TELL_MS = 1000;
const LATE_MS = 30_000;
const ANSWER_MS_MAX = 5000;

/** Resolves with the exit status. */
export async function drain({ admin, seconds, wait }: DrainRequest, world: DrainWorld): Promise<number> {
  const begun = await begin(admin, seconds);
  world.out(`draining: ${sessions(begun.sessions)} to close within ${Math.ceil(begun.leftMs / 1000)} s\n`);
  if (!wait) return 0;
  const beginMs = world.nowMs();
  let toldMs = beginMs;
  for (;;) {
    await world.sleep(POLL_MS);
    const state = await look(admin);
    const nowMs = world.nowMs();
    if (state === null) {
      world.out(`the node has ended after ${((nowMs - beginMs) / 1000).toFixed(1)} s\n`);
      return 0;
    }
    if (nowMs - beginMs > begun.leftMs + LATE_MS) {
      world.out(`the node is still there, ${sessions(state.sessions)} left: see its log\n`);
      return 1;
    }
    if (nowMs - toldMs >= TELL_MS) {
      toldMs = nowMs;
      world.out(`${sessions(state.sessions)} left\n`);
    }
  }
}

const sessions = (count: number): string => `${count} session${count === 1 ? "" : "s"}`;

async function begin(admin: string, seconds: number | null): Promise<State> {
  let answer: Response;
  try {
    answer = await fetch(`${admin}/api/drain`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(seconds === null ? {} : { seconds }),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
  } catch (cause) {
    const sentence = `cannot reach the admin server at ${admin}: is a node running there? --admin-url names another`;
    throw new GatewayError("UNREACHABLE", sentence, { cause });
  }
  const body = (await answer.json().catch(() => null)) as (State & { error?: { message?: string } }) | null;
  if (answer.status === 202 && body !== null) return body;
  throw new GatewayError("REFUSED", `${admin} answered ${answer.status}: ${body?.error?.message ?? "no reason given"}`);
}

/** Null: it is gone, or another node is there that does not drain. */
async function look(admin: string): Promise<State | null> {
  try {
    const answer = await fetch(`${admin}/readyz`, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    const { parts } = (await answer.json()) as { parts?: { drain?: State } };
    return parts?.drain ?? null;
  } catch (error) {
    // Nobody listens any more: that is what we wait for.
    if (error instanceof Error) return null;
    throw error;
  }
}

/** From what a person types: `9190`, `host:9190`, `http://host:9190`. */
export function adminUrl(text: string): string {
  const full = /^\d{1,5}$/.test(text)
    ? `http://127.0.0.1:${text}`
    : /^[a-z]+:\/\//i.test(text)
      ? text
      : `http://${text}`;
  const url = URL.parse(full);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.hostname === "") {
    throw new GatewayError("USAGE", `--admin-url: "${text}" is no address, want for example http://127.0.0.1:9090`);
  }
  return url.origin;
}
