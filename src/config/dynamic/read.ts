/**
 * Parses a document without holding up the main thread: a big one in a worker of its own, which ends with it.
 *
 * At the limit: a worker that has not answered after PARSE_MS_MAX is ended, and the document refused.
 */
import type { Clock } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import { DOCUMENT_LENGTH_MAX, parseDynamic } from "./parse.ts";
import type { DynamicContext, Parsed } from "./types.ts";

/** Characters that are parsed in a few milliseconds. */
const AT_ONCE_MAX = 128 * 1024;
const PARSE_MS_MAX = 30_000;

export interface ParseOrder {
  readonly text: string;
  readonly context: DynamicContext;
}

export function readDynamic(text: string, context: DynamicContext, clock: Pick<Clock, "after">): Promise<Parsed> {
  if (text.length <= AT_ONCE_MAX || text.length > DOCUMENT_LENGTH_MAX) {
    return Promise.resolve(parseDynamic(text, context));
  }
  const { promise, resolve, reject } = Promise.withResolvers<Parsed>();
  const worker = new Worker(new URL("./parse-worker.ts", import.meta.url).href, { name: "config" });
  const timer = clock.after(PARSE_MS_MAX, () =>
    reject(new GatewayError("CONFIG", `the document was not parsed within ${PARSE_MS_MAX / 1000} s: make it smaller`)),
  );
  worker.onmessage = (event: MessageEvent<Parsed>) => resolve(event.data);
  worker.onerror = (event: ErrorEvent) => {
    event.preventDefault();
    reject(new GatewayError("CONFIG", `the document could not be parsed: ${event.message}`));
  };
  worker.postMessage({ text, context } satisfies ParseOrder);
  return promise.finally(() => {
    timer.cancel();
    worker.terminate();
  });
}
