/**
 * The settings of the bus: which one joins the nodes of a cluster, where its servers are and who we are there.
 *
 * Passwords and tokens are better given as variables (TIDEGATE_BUS_PASSWORD, TIDEGATE_BUS_TOKEN) than as flags, which
 * everybody on the machine can read.
 */
import { z } from "zod";
import { GatewayError } from "../lib/errors.ts";
import { parseNatsAddress } from "../lib/nats-address.ts";

const want = (sentence: string) => ({ error: () => sentence });
const whole = (min: number, max: number, unit = "") => {
  const wanted = want(`a whole number from ${min} to ${max}${unit}`);
  return z.int(wanted).min(min, wanted).max(max, wanted);
};
const filled = (wanted: string) => z.string(want(wanted)).min(1, want(wanted));
const pemFile = filled("the path of a PEM file");
const oneOf = <const Name extends string>(...names: Name[]) => z.enum(names, want(`one of ${names.join(", ")}`));

const SERVER = "NATS servers, for example nats://127.0.0.1:4222";

function isServer(text: string): boolean {
  try {
    parseNatsAddress(text);
    return true;
  } catch {
    // Judged by whether it can be read; the sentence that refuses it is the schema's.
    return false;
  }
}

/** One word of a NATS subject and of a stream's name. */
export const clusterSchema = z
  .string(want("a name of 1 to 64 letters, digits, dashes or underscores"))
  .regex(/^[A-Za-z0-9_-]{1,64}$/, want("a name of 1 to 64 letters, digits, dashes or underscores"))
  .default("tidegate");

export const busSchema = z
  .strictObject({
    /** `memory` joins the parts of one node, the others the nodes of a cluster. */
    kind: oneOf("memory", "nats", "jetstream").default("memory"),
    servers: z
      .array(z.string(want(SERVER)).refine(isServer, want(SERVER)), want(`a list of ${SERVER}`))
      .min(1, want(`at least one of ${SERVER}`))
      .max(100, want("at most 100 servers"))
      .default(["nats://127.0.0.1:4222"]),
    user: filled("a user's name").optional(),
    password: filled("a password").optional(),
    token: filled("a token").optional(),
    /** Path of a file with a user's JWT and key. */
    credentials: filled("the path of a credentials file").optional(),
    /** `{}`: TLS with the authorities of the system. */
    tls: z.strictObject({ ca: pemFile.optional(), cert: pemFile.optional(), key: pemFile.optional() }).optional(),
    /** How long a publication may wait for others of its topic, and how many leave in one message at most. */
    lingerMs: whole(0, 100, " ms").default(1),
    batch: whole(1, 10_000).default(100),
    /** Of the stream that keeps publications, where the bus is persistent. */
    stream: z
      .strictObject({
        maxAgeSeconds: whole(10, 30 * 86_400, " seconds").default(600),
        maxBytes: whole(1024 * 1024, Number.MAX_SAFE_INTEGER, " bytes").default(1024 ** 3),
        storage: oneOf("memory", "file").default("file"),
        replicas: whole(1, 5).default(1),
      })
      .prefault({}),
  })
  .prefault({});

export type BusConfig = z.output<typeof busSchema>;

/** What no single field can tell. `nameOf`: the flag, variable or field of a path such as `bus.user`. */
export function checkBus(bus: BusConfig, nameOf: (field: string) => string): void {
  const refuse = (field: string, what: string): never => {
    throw new GatewayError("CONFIG", `${nameOf(field)}: ${what}`);
  };
  if (bus.password !== undefined && bus.user === undefined) refuse("bus.password", "needs a user too, give --bus-user");
  const ways = [bus.user, bus.token, bus.credentials].filter((way) => way !== undefined);
  if (ways.length > 1) refuse("bus.user", "give a user, a token or a credentials file, not two of them");
  if ((bus.tls?.cert === undefined) !== (bus.tls?.key === undefined)) {
    refuse(
      bus.tls?.cert === undefined ? "bus.tls.key" : "bus.tls.cert",
      "a certificate needs its key, and a key its certificate",
    );
  }
}

/** Makes the paths absolute. */
export function locateBus(bus: BusConfig, absolute: (given: string, field: string) => string): BusConfig {
  const at = (given: string | undefined, field: string) => (given === undefined ? given : absolute(given, field));
  const { credentials, tls } = bus;
  return {
    ...bus,
    credentials: at(credentials, "credentials"),
    tls: tls && { ca: at(tls.ca, "tls.ca"), cert: at(tls.cert, "tls.cert"), key: at(tls.key, "tls.key") },
  };
}
