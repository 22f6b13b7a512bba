/**
 * The client in a real browser, if there is one: a page that follows a book and trades, loses its connection, and goes on.
 *
 * Skipped with one line where no Chromium can be had (scripts/servers/chromium.mjs).
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join, resolve } from "node:path";
import { CuttingProxy } from "../../test/lib/cutting-proxy.ts";
import { startPlayingNode } from "../../test/lib/playing-node.ts";
import { obtain } from "../../test/lib/services/obtain.ts";
import { TempFolder } from "../../test/lib/temp-folder.ts";
import { TEST_MS_MAX, waitFor } from "../../test/lib/wait.ts";

setDefaultTimeout(2 * TEST_MS_MAX);

const chromium = await obtain("chromium").catch((error: Error) => {
  console.log(`client in a browser: skipped, ${error.message}`);
  return null;
});

/** No window, no sandbox (root has none), nothing that asks the outside. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-software-rasterizer",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--no-first-run",
];

/** What the page does: it tells the server of the test what it has seen. */
const script = (url: string): string => `
  import { connect } from ${JSON.stringify(resolve(import.meta.dir, "../src/mod.ts"))};
  const told = { connected: 0, lost: 0, gap: 0, broken: 0, epoch: 0, odd: 0 };
  const client = connect(${JSON.stringify(url)}, { retryMsFirst: 20, verifyMs: 300 });
  for (const name of Object.keys(told)) client.on(name, () => told[name]++);
  const depth = client.subscribe("btcusdt@depth");
  const ids = [];
  try {
    for await (const update of client.subscribe("btcusdt@trade")) {
      if (update.type === "items") ids.push(...update.data.map(({ id }) => id));
      if (told.lost > 2 && told.connected > 2 && ids.length > 20 && depth.state === "fresh") break;
    }
    const { book } = depth;
    await fetch("/done", { method: "POST", body: JSON.stringify({ told, ids, top: [book.bestBid, book.bestAsk], crossed: book.crossed }) });
  } catch (error) {
    await fetch("/done", { method: "POST", body: JSON.stringify({ error: String(error) }) });
  }
`;

test.skipIf(chromium === null)(
  "client browser - in Chromium, over connections that are cut: every trade once, the book exact",
  async () => {
    using folder = new TempFolder();
    await using node = await startPlayingNode(folder);
    const reference = await node.native();
    await reference.subscribe(["btcusdt@trade"]);
    using proxy = await CuttingProxy.start({ port: node.port, seed: 3, lifeMsMin: 400, lifeMsMax: 1200 });
    const entry = folder.write("page.ts", script(`ws://127.0.0.1:${proxy.port}`));
    const built = await Bun.build({ entrypoints: [entry], target: "browser" });
    const code = (await built.outputs[0]?.text()) ?? "";
    const done = Promise.withResolvers<Record<string, unknown>>();
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      routes: {
        "/": () =>
          new Response('<script type="module" src="/page.js"></script>', { headers: { "content-type": "text/html" } }),
        "/page.js": () => new Response(code, { headers: { "content-type": "text/javascript" } }),
        "/done": async (request) => {
          done.resolve((await request.json()) as Record<string, unknown>);
          return new Response("");
        },
      },
    });
    const profile = `--user-data-dir=${join(folder.path, "profile")}`;
    const browser = Bun.spawn([chromium?.program ?? "", ...FLAGS, profile, `http://127.0.0.1:${server.port}/`], {
      env: { ...process.env, ...chromium?.env },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    const gone = browser.exited.then((status) => ({ error: `chromium ended with ${status}` }));
    const late = Bun.sleep(TEST_MS_MAX).then(() => ({ error: `the page told nothing within ${TEST_MS_MAX} ms` }));
    try {
      const result: Record<string, unknown> = await Promise.race([done.promise, gone, late]);
      const { told, ids, top, crossed, error } = result;
      expect(error).toBe(undefined);
      expect(told).toMatchObject({ gap: 0, broken: 0, epoch: 0, odd: 0 });
      expect([crossed, (top as unknown[]).includes(null)]).toEqual([false, false]);
      const seen = ids as string[];
      const known = (): string[] => reference.stream("btcusdt@trade").items.map(({ id }) => String(id));
      await waitFor(() => known().includes(seen.at(-1) ?? ""), "the reference has come as far");
      const all = known();
      const from = all.indexOf(seen[0] ?? "");
      expect(all.slice(from, from + seen.length)).toEqual(seen);
    } finally {
      browser.kill("SIGKILL");
      await browser.exited;
      await server.stop(true);
    }
  },
);
