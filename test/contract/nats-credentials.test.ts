/** Whom a NATS server lets in: the bus and the sources with a user's JWT, against a server that trusts an operator. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { credsAuthenticator } from "@nats-io/transport-node";
import { createNatsBus, type NatsBus } from "../../src/bus/nats/mod.ts";
import type { NatsSettings } from "../../src/lib/nats.ts";
import { KeptLog, numbers, Running } from "../ingest/broker-rig.ts";
import { Brokers, Desk, sourceOf } from "../ingest/nats-rig.ts";
import { credentialsOf, NatsOperator, type NatsUser } from "../lib/nats-jwt.ts";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { ScriptedOwner, topicOf } from "./bus-scripted.ts";

const TRADES = "btcusdt@trade";

const operator = new NatsOperator();
const folder = new TempFolder();
const brokers = new Brokers(() => server.url);
const buses: NatsBus[] = [];
let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ jetstream: false, settings: operator.settings });
}, TEST_MS_MAX);
afterAll(async () => {
  await Promise.all([brokers.close(), ...buses.map((bus) => bus.close())]);
  await server?.stop();
  folder[Symbol.dispose]();
});

let files = 0;
const fileOf = (user: NatsUser): string => folder.write(`${++files}.creds`, credentialsOf(user));

const log = new KeptLog();
function busOf(settings: Partial<NatsSettings>, name = "one"): NatsBus {
  const nats = { servers: [server.url], retryMaxMs: 50, ...settings };
  const bus = createNatsBus({ nats, cluster: "jwt", name, log, joinMs: 0 });
  buses.push(bus);
  return bus;
}

/** Why there is no connection, as the operator is told. */
async function refusal(bus: NatsBus): Promise<string> {
  let said = "";
  await waitFor(
    () => {
      const state = bus.link.state();
      said = state.name === "connecting" && state.error !== "" ? `${state.code}: ${state.error}` : "";
      return said !== "" && bus.link.counters.failures > 1;
    },
    () => JSON.stringify(bus.link.state()),
  );
  return said;
}

test("nats credentials - nodes with a user's JWT and key hear each other, within what the user may", async () => {
  const mine = ["tg.jwt.>", "tgc.jwt.>"];
  const [one, two] = [
    busOf({ credentials: fileOf(operator.user()) }),
    busOf({ credentials: fileOf(operator.user({ pub: mine, sub: mine })) }, "two"),
  ];
  await Promise.all([one.link.connected(), two.link.connected()]);
  const owner = new ScriptedOwner({ bus: one });
  owner.publish(TRADES);
  const seen: number[] = [];
  two.subscribe(topicOf(TRADES), ({ publications }) => seen.push(...publications.map((p) => p.seq)));
  expect((await two.request({ channel: TRADES, user: "", since: null }))?.seq).toBe(1000);
  owner.publish(TRADES);
  await waitFor(() => seen.length > 0, "what is published arrives");
  expect(seen).toEqual([1001]);
  expect(two.link.counters.serverErrors).toBe(0);
});

test("nats credentials - a source reads with them, under the name its configuration gives them", async () => {
  const user_credentials = fileOf(operator.user());
  const authenticator = credsAuthenticator(Buffer.from(credentialsOf(operator.user())));
  const desk = await Desk.open(server.url, { authenticator });
  const live = new Running(await sourceOf(brokers.nats({ user_credentials }), "live.a"));
  await live.is("connected");
  await desk.say("live.a", ...numbers(3));
  await live.has(3);
  await live.stop();
  await desk.close();
});

test("nats credentials - those that are refused or cannot be used are told with a code, never with what is in them", async () => {
  const [user, other, stranger] = [operator.user(), operator.user(), new NatsOperator().user()];
  const expired = operator.user({ exp: 1_700_000_000 });
  const damaged = { ...user, seed: `${user.seed.slice(0, -4)}AAAA` };
  const cases: readonly [Partial<NatsSettings>, NatsUser, string][] = [
    [{ credentials: fileOf(stranger) }, stranger, "refuses us"],
    [{ credentials: fileOf({ jwt: user.jwt, seed: other.seed }) }, other, "refuses us"],
    [{ credentials: fileOf({ ...user, jwt: user.jwt.slice(0, -8) }) }, user, "refuses us"],
    [{ credentials: fileOf(expired) }, expired, "refuses us"],
    [{ credentials: fileOf(damaged) }, damaged, "the credentials file or nkey seed cannot be used"],
    [{ user: "us", password: user.seed }, user, "refuses us"],
    [{ token: user.seed }, user, "refuses us"],
    [{}, user, "refuses us"],
  ];
  for (const [settings, { jwt, seed }, sentence] of cases) {
    const bus = busOf(settings);
    const said = await refusal(bus);
    expect(said).toStartWith("NATS_AUTH: ");
    expect(said).toContain(sentence);
    for (const secret of [jwt, seed, seed.slice(2, 20)]) expect(said + JSON.stringify(log.lines)).not.toContain(secret);
    await bus.close();
  }
  const broker = brokers.nats({ user_credentials: fileOf(stranger) });
  const state = () => JSON.stringify(broker.status().state);
  await waitFor(() => state().includes("refuses us"), state);
  expect(state()).not.toContain(stranger.seed.slice(2, 20));
});

test("nats credentials - a file that is put right is read again, without a restart", async () => {
  const [wrong, right] = [new NatsOperator().user(), operator.user()];
  const credentials = fileOf(wrong);
  const bus = busOf({ credentials });
  expect(await refusal(bus)).toContain("NATS_AUTH: ");
  await Bun.write(credentials, credentialsOf(right));
  await bus.link.connected();
  expect(bus.state().name).toBe("connected");
});
