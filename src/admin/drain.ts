/**
 * `POST /api/drain`: an operator empties the node and ends it.
 *
 * Invariants: asked twice it is one drain; a page in somebody's browser cannot ask, for a browser sends
 * `application/json` to another site only after a question that is not answered here.
 */
import type { Hono } from "hono";
import type { DrainView } from "./view.ts";

export interface DrainDoor {
  /** Begins unless it has begun; null: as long as the node is set up to take. */
  drain(seconds: number | null): DrainView;
}

const SECONDS_MAX = 3600;

export function drainRoute(app: Hono, door: DrainDoor): void {
  app.post("/api/drain", async (context) => {
    const type = context.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
    if (type !== "application/json") {
      return context.json({ error: { message: 'send content-type: application/json and a body, at least "{}"' } }, 415);
    }
    const seconds = secondsOf(await context.req.text());
    if (typeof seconds === "string") return context.json({ error: { message: seconds } }, 400);
    const { sessions, leftMs } = door.drain(seconds);
    return context.json({ draining: true, sessions, leftMs }, 202);
  });
}

/** Null: not said. A text: what is wrong. */
function secondsOf(body: string): number | null | string {
  let fields: unknown;
  try {
    fields = JSON.parse(body);
  } catch {
    return "the body is not JSON";
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) return "the body is no JSON object";
  const unknown = Object.keys(fields).find((name) => name !== "seconds");
  if (unknown !== undefined) return `${unknown}: no such field, there is only "seconds"`;
  const { seconds = null } = fields as { seconds?: unknown };
  if (seconds === null) return null;
  if (typeof seconds === "number" && seconds >= 0 && seconds <= SECONDS_MAX) return seconds;
  return `seconds: want a number from 0 to ${SECONDS_MAX}`;
}
