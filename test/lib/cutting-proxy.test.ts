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

async function answered(client: { text: () => string }, text: string): Promise<void> {
  await waitFor(
    () => client.text() === text,
    () => `${JSON.stringify(text)}, not ${JSON.stringify(client.text().slice(0, 100))}`,
  );
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
  expect([proxy.connections, proxy.cuts, proxy.torn, proxy.ended]).toEqual([12, 12, 12, 0]);
  for (const client of clients) expect(sentence.repeat(1000).startsWith(client.text())).toBe(true);
  const torn = clients.filter((client) => client.text().length % sentence.length !== 0);
  expect(torn.length).toBeGreaterThan(6);
  server.stop();
});

test("cutting proxy - delays what passes, and nothing overtakes", async () => {
  const server = await serve(null);
  using proxy = await CuttingProxy.start({ port: server.port, seed: 3, weathers: [{ delayMs: [20, 120] }] });
  const client = dial(proxy.port);
  const started = performance.now();
  let sent = "";
  for (let i = 0; i < 200; i++) {
    sent += `${i},`;
    client.socket.write(`${i},`);
    if (i % 10 === 0) await Bun.sleep(1);
  }
  await answered(client, sent);
  // There and back, at least.
  expect(performance.now() - started).toBeGreaterThanOrEqual(40);
  server.stop();
});

test("cutting proxy - hands on so many bytes a second, and the sender is slowed down", async () => {
  const server = await serve(null);
  using proxy = await CuttingProxy.start({ port: server.port, seed: 4, weathers: [{ bytesPerSecond: 200_000 }] });
  const client = dial(proxy.port);
  const long = "0123456789".repeat(6_000);
  const started = performance.now();
  client.socket.write(long);
  await answered(client, long);
  expect(performance.now() - started).toBeGreaterThan(200);

  // Far more than the kernel holds: what is not taken stays with the sender.
  client.socket.write("x".repeat(50_000_000));
  await waitFor(
    () => client.text().length > 100_000,
    () => `${client.text().length} bytes came`,
  );
  expect(client.socket.writableLength).toBeGreaterThan(20_000_000);
  client.socket.destroy();
  server.stop();
});

test("cutting proxy - in a pause nothing passes, not even an end; afterwards all of it does", async () => {
  const server = await serve(null);
  using proxy = await CuttingProxy.start({ port: server.port, seed: 5 });
  const client = dial(proxy.port);
  client.socket.write("before");
  await answered(client, "before");
  proxy.pause();
  client.socket.write(" meanwhile");
  const other = dial(proxy.port);
  other.socket.write("new");
  other.socket.end();
  await waitFor(() => proxy.connections === 2, "the other is accepted");
  await Bun.sleep(100);
  expect([client.text(), other.text(), client.isClosed(), other.isClosed()]).toEqual(["before", "", false, false]);
  proxy.resume();
  await answered(client, "before meanwhile");
  await answered(other, "new");
  await waitFor(() => other.isClosed(), "the end has passed");
  expect([client.isClosed(), proxy.ended]).toEqual([false, 0]);
  server.stop();
});

test("cutting proxy - the weather stops connections for a while, until it is calm", async () => {
  const server = await serve("tick.");
  const pause = { everyMs: [20, 40], ms: [10, 30] } as const;
  using proxy = await CuttingProxy.start({ port: server.port, seed: 6, weathers: [{ pause }] });
  const client = dial(proxy.port);
  await waitFor(
    () => proxy.pauses >= 5,
    () => `${proxy.pauses} pauses`,
  );
  expect(client.isClosed()).toBe(false);
  proxy.calm();
  const { pauses } = proxy;
  const had = client.text().length;
  await waitFor(
    () => client.text().length > had + 100,
    () => `${client.text().length} bytes, after ${had}`,
  );
  expect([proxy.pauses, proxy.connections]).toEqual([pauses, 1]);
  expect("tick.".repeat(100_000).startsWith(client.text())).toBe(true);
  server.stop();
});

test("cutting proxy - an end arrives behind all bytes before it", async () => {
  const server = createServer((socket) => {
    socket.end("x".repeat(300_000));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const weathers = [{ delayMs: [5, 30], bytesPerSecond: 1_000_000 }] as const;
  using proxy = await CuttingProxy.start({ port, seed: 7, weathers });
  const client = dial(proxy.port);
  await waitFor(() => client.isClosed(), "it is closed");
  expect([client.text().length, proxy.ended, proxy.cuts]).toEqual([300_000, 1, 0]);
  server.close();
});

test("cutting proxy - on demand: another weather, a torn answer, a reset", async () => {
  const server = await serve("sentence.");
  using proxy = await CuttingProxy.start({ port: server.port, seed: 8 });
  const [torn, reset] = [dial(proxy.port), dial(proxy.port)];
  const errors: string[] = [];
  reset.socket.on("error", (error: NodeJS.ErrnoException) => errors.push(error.code ?? ""));
  await waitFor(() => torn.text() !== "" && reset.text() !== "", "both hear the server");
  proxy.change({ delayMs: [200, 200] });
  const sent = performance.now();
  const late = dial(proxy.port);
  await waitFor(() => late.text() !== "", "the third hears it too");
  expect(performance.now() - sent).toBeGreaterThan(190);
  proxy.reset();
  await waitFor(() => torn.isClosed() && reset.isClosed() && late.isClosed(), "all are reset");
  expect([errors, proxy.cuts]).toEqual([["ECONNRESET"], 0]);
  proxy.change({});
  const last = dial(proxy.port);
  await waitFor(() => last.text() !== "", "the last hears the server");
  proxy.tear();
  await waitFor(() => last.isClosed(), "it is cut");
  expect([proxy.cuts, proxy.torn, proxy.connections]).toEqual([1, 1, 4]);
  expect("sentence.".repeat(100_000).startsWith(last.text())).toBe(true);
  server.stop();
});
