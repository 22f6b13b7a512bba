import { expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { CuttingProxy } from "./cutting-proxy.ts";
import { waitFor } from "./wait.ts";

/** A server that echoes, or says `sentence` every few ms. */
async function serve(sentence: string | null): Promise<{ port: number; stop: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    if (sentence === null) {
      socket.pipe(socket);
      return;
    }
    const timer = setInterval(() => socket.write(sentence), 5);
    socket.on("close", () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: (server.address() as { port: number }).port, stop };
}

function dial(port: number): { socket: Socket; text: () => string; isClosed: () => boolean } {
  let text = "";
  let closed = false;
  const socket = connect(port, "127.0.0.1");
  socket.on("data", (chunk: Uint8Array) => {
    text += new TextDecoder("latin1").decode(chunk);
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    closed = true;
  });
  return { socket, text: () => text, isClosed: () => closed };
}

test("cutting proxy - hands on both ways, and cuts nothing once it is calm", async () => {
  const server = await serve(null);
  using proxy = await CuttingProxy.start({ port: server.port, seed: 1, lifeMsMin: 30, lifeMsMax: 30 });
  proxy.calm();
  const client = dial(proxy.port);
  const long = "0123456789".repeat(100_000);
  client.socket.write(long);
  await waitFor(
    () => client.text().length === long.length,
    () => `an echo of ${client.text().length} bytes`,
  );
  expect(client.text()).toBe(long);
  await Bun.sleep(60);
  expect([proxy.connections, proxy.cuts, client.isClosed()]).toEqual([1, 0, false]);
  server.stop();
});

test("cutting proxy - cuts in the middle of what the server says", async () => {
  const sentence = "a sentence that is longer than one byte.";
  const server = await serve(sentence);
  using proxy = await CuttingProxy.start({ port: server.port, seed: 2, lifeMsMin: 20, lifeMsMax: 60 });
  const clients = Array.from({ length: 12 }, () => dial(proxy.port));
  await waitFor(
    () => clients.every((client) => client.isClosed()),
    () => `${clients.filter((client) => !client.isClosed()).length} are still connected`,
  );
  expect([proxy.connections, proxy.cuts, proxy.torn]).toEqual([12, 12, 12]);
  for (const client of clients) expect(sentence.repeat(1000).startsWith(client.text())).toBe(true);
  const torn = clients.filter((client) => client.text().length % sentence.length !== 0);
  expect(torn.length).toBeGreaterThan(6);
  server.stop();
});
