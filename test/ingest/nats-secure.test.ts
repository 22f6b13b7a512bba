/** Sources of NATS where the server wants TLS and a user, under a name that is mapped to where it really is. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { nkeys } from "@nats-io/transport-node";
import type { Broker } from "../../src/ingest/broker.ts";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { selfSigned } from "../venue/certificate.ts";
import { numbers, Running } from "./broker-rig.ts";
import { Brokers, Desk, sourceOf } from "./nats-rig.ts";

const folder = new TempFolder();
const certificate = selfSigned();
const ca_file = folder.write("ca.pem", certificate.cert);
const other = folder.write("other.pem", selfSigned("another authority").cert);
const key = nkeys.createUser();
const nkeys_seed = folder.write("user.nk", `${new TextDecoder().decode(key.getSeed())}\n`);

let server: NatsServer;
let desk: Desk;
const brokers = new Brokers(() => "tls://localhost:4222");
const more = { resolveAddress: (at: string) => (at === "localhost:4222" ? `127.0.0.1:${server.port}` : at) };
const USER = { user: "reader", password: "p w" };

beforeAll(async () => {
  const users = `authorization { users: [{ user: reader, password: "p w" }, { nkey: ${key.getPublicKey()} }] }`;
  server = await startNats({ tls: certificate, settings: [users] });
  desk = await Desk.open(`tls://localhost:${server.port}`, {
    tls: { ca: certificate.cert },
    user: "reader",
    pass: "p w",
  });
  await desk.stream("SAFE", ["safe.a"]);
  await desk.store("safe.a", numbers(3));
}, TEST_MS_MAX);

afterAll(async () => {
  await brokers.close();
  await desk.close();
  await server.stop();
  folder[Symbol.dispose]();
});

async function refusal(broker: Broker): Promise<string> {
  const error = (): string => {
    const { state } = broker.status();
    return state.name === "connecting" ? state.error : "";
  };
  await waitFor(
    () => error() !== "",
    () => JSON.stringify(broker.status()),
  );
  return error();
}

test("nats and jetstream - a user, a password, an authority of one's own; and an nkey", async () => {
  for (const properties of [
    { ...USER, tls: { ca_file } },
    { user: "reader", pass: "p w", tls: { ca_file } },
    { nkeys_seed, tls: { ca_file } },
  ]) {
    const live = new Running(await sourceOf(brokers.nats(properties, more), "live.a"));
    await live.is("connected");
    await desk.say("live.a", "1");
    await live.has(1);
    const stored = new Running(await sourceOf(brokers.jetstream(properties, more), "safe.a"));
    await stored.has(3);
    await Promise.all([live.stop(), stored.stop()]);
  }
});

test("nats and jetstream - wrong credentials, another authority, a missing file: told in a sentence, tried again", async () => {
  const cases: readonly [Readonly<Record<string, unknown>>, string][] = [
    [{ ...USER, password: "wrong", tls: { ca_file } }, "localhost:4222 refuses us"],
    [{ tls: { ca_file } }, "localhost:4222 refuses us"],
    [{ ...USER, tls: { ca_file: other } }, "no TLS with localhost:4222"],
    [{ ...USER }, "no TLS with localhost:4222"],
    [{ ...USER, tls: { ca_file: "/nowhere/ca.pem" } }, "cannot read /nowhere/ca.pem"],
    [{ nkeys_seed: ca_file, tls: { ca_file } }, "nkey seed cannot be used"],
    [{ user_credentials: "/nowhere/user.creds", tls: { ca_file } }, "cannot read /nowhere/user.creds"],
  ];
  for (const [properties, sentence] of cases) {
    const broker = brokers.nats(properties, more);
    const said = await refusal(broker);
    expect(said).toContain(sentence);
    expect(said).not.toContain("p w");
    await waitFor(
      () => (broker.status().counts?.["failed attempts"] ?? 0) > 1,
      () => JSON.stringify(broker.status()),
    );
    await broker.close();
  }
});
