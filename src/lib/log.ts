/**
 * The log: structured lines, JSON for machines and a readable form for a terminal.
 *
 * Beside the path: every part takes the narrow `Log`; the composition root makes the one real log and hands out children.
 * Invariants: writing a line never waits for its reader; each line is one JSON object (or one readable line).
 * At the limit: when stdout's reader is so slow that `linesBytesMax` are unwritten, new lines are dropped and the number
 * of dropped lines is told in a line of its own as soon as there is room again.
 */
import pino from "pino";
import { prettyFactory } from "pino-pretty";

export type LogFields = Readonly<Record<string, unknown>>;

/** What a part needs of the log. `error` in the fields is written with its message, code and stack. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with fields that stand on every line. */
  child(fields: LogFields): Log;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface LogConfig {
  readonly level: LogLevel;
  /** `auto`: pretty if stdout is a terminal, else json. */
  readonly format: "json" | "pretty" | "auto";
}

/** Where lines go; returns false when the line was dropped. */
export interface LogSink {
  write(line: string): boolean;
  /** Writes what is still held, waiting for the reader. */
  flush(): void;
}

export interface RootLog extends Log {
  flush(): void;
}

const linesBytesMax = 1024 * 1024;

/** Stdout, without ever blocking the caller. */
function stdoutSink(): LogSink {
  const out = pino.destination({ fd: 1, sync: false, maxLength: linesBytesMax });
  let dropped = false;
  let open = true;
  out.on("drop", () => {
    dropped = true;
  });
  // The reader of a pipe went away: there is nobody left to tell, and the node must go on.
  out.on("error", () => {
    open = false;
  });
  return {
    write(line) {
      if (!open) return false;
      dropped = false;
      out.write(line);
      return !dropped;
    },
    flush() {
      if (open) out.flushSync();
    },
  };
}

/** `pretty` from a config, given whether stdout is a terminal. */
export function isPretty(format: LogConfig["format"], terminal: boolean): boolean {
  return format === "pretty" || (format === "auto" && terminal);
}

/** Makes the root log. `sink` and `terminal` are parameters for tests; the defaults are stdout and what it is. */
export function createLog(
  config: LogConfig,
  sink: LogSink = stdoutSink(),
  terminal: boolean = process.stdout.isTTY === true,
): RootLog {
  const pretty = isPretty(config.format, terminal)
    ? prettyFactory({ colorize: terminal, translateTime: "SYS:HH:MM:ss.l", ignore: "pid,hostname", singleLine: true })
    : null;
  let dropped = 0;
  const stream = {
    write(line: string): void {
      if (dropped > 0 && sink.write(pretty === null ? droppedLine(dropped) : pretty(droppedLine(dropped)))) dropped = 0;
      if (!sink.write(pretty === null ? line : pretty(line))) dropped += 1;
    },
  };
  const logger = pino(
    {
      level: config.level,
      base: null,
      timestamp: pino.stdTimeFunctions.epochTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    stream,
  );
  return Object.assign(face(logger), { flush: () => sink.flush() });
}

const droppedLine = (count: number): string =>
  `${JSON.stringify({ level: "warn", time: Date.now(), msg: "log lines were dropped: their reader is too slow", count })}\n`;

function face(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (fields) => face(logger.child(fields)),
  };
}

/** A log that says nothing: for tests. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
