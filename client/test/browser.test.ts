/**
 * The client in a real browser, if there is one: a page that follows a book and trades, loses its connection, and goes on.
 *
 * Skipped with one line where no Chromium is found: in `CHROMIUM`, or under its usual names in PATH.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join, resolve } from "node:path";
import { CuttingProxy } from "../../test/lib/cutting-proxy.ts";
import { startPlayingNode } from "../../test/lib/playing-node.ts";
import { TempFolder } from "../../test/lib/temp-folder.ts";
import { TEST_MS_MAX } from "../../test/lib/wait.ts";

setDefaultTimeout(2 * TEST_MS_MAX);

const NAMES = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const chromium = process.env.CHROMIUM ?? NAMES.map((name) => Bun.which(name)).find((path) => path !== null) ?? null;
if (chromium === null) console.log("client in a browser: skipped, no chromium in PATH and CHROMIUM is not set");

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
    const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
    const browser = Bun.spawn(
      [chromium ?? "", ...flags, `--user-data-dir=${join(folder.path, "profile")}`, `http://127.0.0.1:${server.port}/`],
      { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    );
    const gone = browser.exited.then((status) => ({ error: `chromium ended with ${status}` }));
    try {
      const { told, ids, top, crossed, error } = (await Promise.race([done.promise, gone])) as Record<string, unknown>;
      expect(error).toBe(undefined);
      expect(told).toMatchObject({ gap: 0, broken: 0, epoch: 0, odd: 0 });
      expect([crossed, (top as unknown[]).includes(null)]).toEqual([false, false]);
      const seen = ids as string[];
      const all = reference.stream("btcusdt@trade").items.map(({ id }) => String(id));
      const from = all.indexOf(seen[0] ?? "");
      expect(all.slice(from, from + seen.length)).toEqual(seen);
    } finally {
      browser.kill("SIGKILL");
      await browser.exited;
      await server.stop(true);
    }
  },
);
