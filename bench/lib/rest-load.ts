/** Runs the C REST client (bench/c/rest.c) beside something else, and reads its report when that is over. */
import { startChild } from "./fanout-child.ts";
import type { Histogram } from "./fanout-load.ts";
import { compiled } from "./fanout-programs.ts";

export interface RestLoadOptions {
  readonly port: number;
  /** Requests per second, in turn to each of the paths. */
  readonly rate: number;
  readonly connections: number;
  readonly paths: readonly string[];
  /** What every body begins with. */
  readonly expect: string;
}

export interface RestResult {
  readonly seconds: number;
  readonly sent: number;
  readonly answered: number;
  /** Answers that were not what was expected. */
  readonly wrong: number;
  /** Requests that had to wait for an idle connection. */
  readonly late: number;
  readonly bodyBytes: number;
  readonly cpuSeconds: number;
  readonly latencyUs: Histogram;
  readonly firstError: string;
}

export interface RestLoad {
  /** Ends the load. Rejects if the client did not come to its end. */
  stop(): Promise<RestResult>;
}

/** Settles once requests are being sent. */
export async function startRestLoad(options: RestLoadOptions): Promise<RestLoad> {
  const { port, rate, connections, paths, expect } = options;
  const child = startChild([
    compiled("rest"),
    ...["--port", String(port), "--rate", String(rate), "--connections", String(connections), "--expect", expect],
    ...paths.flatMap((path) => ["--path", path]),
  ]);
  if ((await child.line()) === null) throw new Error(`the REST client did not start: ${child.errors()}`);
  return {
    async stop() {
      child.closeInput();
      const line = await child.line();
      await child.stop();
      if (line === null) throw new Error(`the REST client ended without a result: ${child.errors()}`);
      return JSON.parse(line) as RestResult;
    },
  };
}
