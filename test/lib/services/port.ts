/**
 * Free ports for servers that keep theirs while they are down: below those that the kernel gives to outgoing connections
 * (32,768 and above on Linux), so that none of these takes the port of a server that is being restarted.
 */
import { createServer } from "node:net";

const FIRST = 20_000;
const COUNT = 12_000;
const TRIED_MAX = 200;

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Drawn by chance: test files that run at once seldom meet, and who meets draws again. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < TRIED_MAX; tried++) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${TRIED_MAX} ports from ${FIRST} on is free`);
}
