/** Being connected: backoff, silence, drain, close. */
import { expect, test } from "bun:test";
import { connect, TidegateError } from "../src/mod.ts";
import { DEPTH, delta, FakeSocket, reply, Stage, snapshot, TRADE } from "./stage.ts";

test("client connection - a node that is not there is tried ever more slowly, up to the longest wait", async () => {
  const on = new Stage({ retryMsFirst: 100, retryMsMax: 1000 });
  for (let attempt = 0; attempt < 6; attempt++) {
    on.socket.ends(1006);
    await on.clock.advance(1000);
  }
  expect(on.news()).toEqual([100, 200, 400, 800, 1000, 1000].map((ms) => `lost 1006, again in ${ms}, first`));
  expect(on.sockets).toHaveLength(7);
  expect(on.client.state).toBe("connecting");
  on.client.close();
  expect(on.clock.pending).toBe(0);
});

test("client connection - half of each wait is chance", async () => {
  const on = new Stage({ retryMsFirst: 100, retryMsMax: 1000 });
  on.chance = 0;
  on.socket.ends(1006);
  expect(on.client.state).toBe("waiting");
  await on.clock.advance(49);
  expect(on.sockets).toHaveLength(1);
  await on.clock.advance(1);
  expect(on.sockets).toHaveLength(2);
});

test("client connection - once it has worked the waits begin anew; not if it was closed for what we do", async () => {
  const on = new Stage({ retryMsFirst: 100, retryMsMax: 1000 });
  const works = async (code: number, openMs = 0): Promise<string[]> => {
    on.socket.opens();
    on.socket.says({ ok: true, op: "pong" });
    await on.clock.advance(openMs);
    on.news();
    on.socket.ends(code);
    const news = on.news();
    await on.clock.advance(2000);
    return news;
  };
  on.socket.ends(1006);
  await on.clock.advance(100);
  expect(await works(1012)).toEqual(["lost 1012, again in 100"]);
  expect(await works(4008)).toEqual(["lost 4008, again in 200"]);
  expect(await works(1008)).toEqual(["lost 1008, again in 400"]);
  expect(await works(4014)).toEqual(["lost 4014, again in 800"]);
  on.socket.opens();
  // It heard nothing.
  on.socket.ends(1012);
  await on.clock.advance(1000);
  expect(await works(1012)).toEqual(["lost 1012, again in 100"]);
});

test("client connection - a node that has worked and is gone is tried ever more slowly too", async () => {
  const on = new Stage({ retryMsFirst: 100, retryMsMax: 1000 });
  on.socket.opens();
  on.socket.says({ ok: true, op: "pong" });
  on.news();
  for (let attempt = 0; attempt < 6; attempt++) {
    on.socket.ends(1006);
    await on.clock.advance(1000);
  }
  expect(on.news()).toEqual([100, 200, 400, 800, 1000, 1000].map((ms) => `lost 1006, again in ${ms}`));
});

test("client connection - what does not open, or falls silent, is given up without waiting for the other side", async () => {
  const on = new Stage({ openMsMax: 1000, pingMs: 1000, silenceMsMax: 2500, retryMsFirst: 100 });
  await on.clock.advance(1100);
  expect(on.news()).toEqual(["lost 1006, again in 100, first"]);
  expect(on.sockets[0]?.closed).not.toBeNull();
  const { socket } = on;
  socket.opens();
  await on.clock.advance(1000);
  expect(socket.pings).toBe(1);
  socket.says({ ok: true, op: "pong" });
  await on.clock.advance(1900);
  expect(on.news()).toEqual(["connected"]);
  expect(socket.pings).toBe(2);
  await on.clock.advance(599);
  expect(on.news()).toEqual([]);
  await on.clock.advance(1);
  expect(on.news()).toEqual(["lost 1006, again in 100"]);
  // Whatever it says now is nobody's.
  socket.says(snapshot(1), "x");
  socket.ends(1000);
  expect(on.news()).toEqual([]);
});

test("client connection - a browser that slept is not silence", async () => {
  const on = new Stage({ pingMs: 1000, silenceMsMax: 2500 });
  let sleepMs = 0;
  const { nowMs } = on.clock;
  on.clock.nowMs = () => nowMs.call(on.clock) + sleepMs;
  on.socket.opens();
  await on.clock.advance(1000);
  on.socket.says({ ok: true, op: "pong" });
  // Timers stood still for a minute; nothing was asked in that time.
  sleepMs = 60_000;
  await on.clock.advance(1000);
  expect(on.news()).toEqual(["connected"]);
  expect(on.client.state).toBe("connected");
});

test("client connection - a command without a reply is no working connection", async () => {
  const on = new Stage({ pingMs: 1000, silenceMsMax: 2500, replyMsMax: 5000 });
  on.client.subscribe(TRADE);
  on.socket.opens();
  for (let second = 0; second < 6; second++) {
    on.socket.says({ ok: true, op: "pong" });
    await on.clock.advance(1000);
  }
  expect(on.news()).toEqual(["connected", "lost 1006, again in 200"]);
});

test("client connection - a command of many names is no dead one as long as some of them begin", async () => {
  const on = new Stage({ pingMs: 1000, silenceMsMax: 2500, replyMsMax: 5000 });
  const depth = on.client.subscribe(DEPTH);
  on.client.subscribe(TRADE);
  on.socket.opens();
  for (let second = 0; second < 12; second++) {
    on.socket.says({ ok: true, op: "pong" }, second === 0 ? snapshot(10) : delta(9 + second, 10 + second));
    await on.clock.advance(1000);
  }
  expect([depth.state, depth.position?.seq, on.client.state]).toEqual(["fresh", 21, "connected"]);
  expect(on.socket.closed).toBeNull();
});

test("client connection - when a node drains, another is opened at a time of one's own before this one is left", async () => {
  const on = new Stage();
  on.client.subscribe(DEPTH);
  const [first] = on.sockets;
  first?.opens();
  first?.says(reply(1, { [DEPTH]: 10 }), snapshot(10));
  on.news();
  on.chance = 0.5;
  first?.says({ type: "drain", afterMs: 10_000 }, { type: "drain", afterMs: 9000 });
  expect(on.news()).toEqual(["drain 10000, move 4000"]);
  await on.clock.advance(3999);
  expect(on.sockets).toHaveLength(1);
  await on.clock.advance(1);
  expect(on.sockets).toHaveLength(2);
  first?.says(delta(10, 11));
  expect(on.news()).toEqual([`${DEPTH} delta 11`]);
  on.socket.opens();
  expect(first?.closed).toEqual({ code: 1000 });
  expect(on.news()).toEqual([`${DEPTH} stale connection`, "connected again"]);
  expect(on.socket.last).toMatchObject({ op: "subscribe", since: { [DEPTH]: { epoch: "k1", seq: 11 } } });
  on.socket.says(reply(1, { [DEPTH]: 11 }, { recovered: true }));
  expect(on.news()).toEqual([`${DEPTH} running 11`, `${DEPTH} fresh`]);
});

test("client connection - a drain without another node: tried while the old one serves, and after it has gone", async () => {
  const on = new Stage({ retryMsFirst: 100 });
  const [first] = on.sockets;
  first?.opens();
  first?.says({ ok: true, op: "pong" }, { type: "drain", afterMs: 1000 });
  await on.clock.advance(800);
  expect(on.sockets).toHaveLength(2);
  on.socket.ends(1006);
  await on.clock.advance(100);
  expect(on.sockets).toHaveLength(3);
  on.news();
  // The old one ends while the new one is on its way: that one goes on.
  first?.ends(1012);
  expect(on.news()).toEqual(["lost 1012, again in 0"]);
  await on.clock.advance(1000);
  expect(on.sockets).toHaveLength(3);
  on.socket.ends(1006);
  await on.clock.advance(1000);
  expect(on.sockets).toHaveLength(4);
  on.socket.opens();
  expect(on.client.state).toBe("connected");
});

test("client connection - reconnect makes it again at once, from waiting too", async () => {
  const on = new Stage();
  on.client.subscribe(TRADE);
  on.socket.opens();
  on.client.reconnect();
  expect(on.sockets).toHaveLength(2);
  expect(on.sockets[0]?.closed).not.toBeNull();
  on.socket.ends(1006);
  expect(on.client.state).toBe("waiting");
  on.client.reconnect();
  expect(on.sockets).toHaveLength(3);
  on.socket.opens();
  await on.flush();
  expect(on.sockets[2]?.commands).toMatchObject([{ op: "subscribe", channels: [TRADE] }]);
});

test("client connection - close ends everything, also what a listener does in the middle of it", async () => {
  const on = new Stage();
  const trades = on.client.subscribe(TRADE);
  const { ready } = trades;
  on.client.on("connected", () => on.client.close());
  on.socket.opens();
  expect(on.socket.closed).toEqual({ code: 1000 });
  expect(on.socket.commands).toEqual([]);
  expect([on.client.state, trades.state, on.clock.pending]).toEqual(["closed", "ended", 0]);
  expect(await ready.catch((error: TidegateError) => error.code)).toBe("CLOSED");
  expect(() => on.client.subscribe(DEPTH)).toThrow("closed");
  on.client.close();
  on.client.reconnect();
  expect(on.sockets).toHaveLength(1);
});

test("client connection - what is no frame of the protocol is shown, and harms nothing", () => {
  const on = new Stage();
  on.socket.opens();
  on.socket.says("{", "[]", { id: 99, ok: true });
  if (typeof on.socket.onmessage === "function") on.socket.onmessage({ data: new ArrayBuffer(2) });
  expect(on.news()).toEqual(["connected", "odd {", "odd []", 'odd {"id":99,"ok":true}', "odd a binary frame"]);
});

test("client connection - addresses and options that cannot work are refused by name", () => {
  const fault = (url: string, options: object = {}): unknown => {
    try {
      connect(url, { WebSocket: FakeSocket, ...options }).close();
    } catch (error) {
      return error instanceof TidegateError ? `${error.code}: ${error.message}` : error;
    }
    return "none";
  };
  expect(fault("nonsense")).toBe('BAD_URL: "nonsense" is no URL, want for example ws://127.0.0.1:8080');
  expect(fault("ftp://x")).toBe('BAD_URL: "ftp://x" begins with ftp:, want ws: or wss:');
  expect(fault("ws://x", { cadence: 5000 })).toBe(
    "BAD_OPTION: cadence is 5000, want milliseconds from 0 (real time) to 3000",
  );
  expect(fault("ws://x", { buffer: 0 })).toBe("BAD_OPTION: buffer is 0, want a number above 0");
  expect(fault("ws://x", { pingMs: 5000, silenceMsMax: 4000 })).toBe(
    "BAD_OPTION: silenceMsMax is 4000, want more than pingMs",
  );
  const urlOf = (url: string): string => {
    const client = connect(url, { WebSocket: FakeSocket });
    client.close();
    return client.url;
  };
  expect(urlOf("http://host:8080")).toBe("ws://host:8080/ws/quote/v1");
  expect(urlOf("wss://host/other?x=1#y")).toBe("wss://host/other?x=1");
});
