/** A child process whose stdout is read line by line, and that is always stopped by its own pid. */

export interface Child {
  readonly pid: number;
  /** The next line of stdout, null at its end. */
  line(): Promise<string | null>;
  /** What it wrote to stderr so far (the last 4 KiB). */
  errors(): string;
  /** Writes a line to its stdin. */
  ask(): void;
  closeInput(): void;
  /** Its exit status. */
  readonly exited: Promise<number>;
  /** SIGTERM, after 5 s SIGKILL; returns the remaining lines. */
  stop(): Promise<string[]>;
}

const STOP_MS = 5000;
const ERRORS_MAX = 4096;

export function startChild(command: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  const child = Bun.spawn([...command], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...env },
  });
  let errors = "";
  const errorsDone = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) errors = (errors + decoder.decode(chunk)).slice(-ERRORS_MAX);
  })();
  const lines = linesOf(child.stdout);
  const line = async (): Promise<string | null> => {
    const next = await lines.next();
    return next.done === true ? null : next.value;
  };
  return {
    pid: child.pid,
    exited: child.exited,
    line,
    errors: () => errors,
    ask() {
      child.stdin.write("\n");
      child.stdin.flush();
    },
    closeInput: () => void child.stdin.end(),
    async stop() {
      child.kill("SIGTERM");
      const hard = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      const rest: string[] = [];
      for (let text = await line(); text !== null; text = await line()) rest.push(text);
      await child.exited;
      await errorsDone;
      clearTimeout(hard);
      return rest;
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const parts = text.split("\n");
    text = parts.pop()!;
    yield* parts;
  }
  if (text !== "") yield text;
}
