/**
 * Static configuration: what a node is told before it starts, and what cannot change while it runs.
 *
 * Flags win over TIDEGATE_* variables, these over the config file, this over the defaults. Invariants: a config that was
 * loaded is complete and valid; a field nobody knows is refused by its name.
 * At the limit: the first fault is thrown as GatewayError CONFIG: one line that names the flag, variable or field.
 */
import { z } from "zod";
import { parseSynthetic } from "../ingest/synthetic-flag.ts";
import { GatewayError } from "../lib/errors.ts";
import { RING_BYTES_DEFAULT, RING_BYTES_MAX, RING_BYTES_MIN } from "../ring/mod.ts";
import { addressesSchema } from "./addresses.ts";
import { busSchema, clusterSchema } from "./bus.ts";
import { checkpointsSchema } from "./checkpoints.ts";
import { limitsSchema } from "./limits.ts";
import { topicsSchema } from "./topics.ts";

/** Of an issue whose message says all there is to say, not only what is wanted. */
export const WHOLE_SENTENCE = { wholeSentence: true };

/** A field whose refusal says what it wants instead. */
const want = (sentence: string) => ({ error: () => sentence });

const whole = (min: number, max: number, unit = "") => {
  const wanted = want(`a whole number from ${min} to ${max}${unit}`);
  return z.int(wanted).min(min, wanted).max(max, wanted);
};
const oneOf = <const Name extends string>(...names: Name[]) => z.enum(names, want(`one of ${names.join(", ")}`));
const text = (pattern: RegExp, wanted: string) => z.string(want(wanted)).regex(pattern, want(wanted));

const host = text(/^[A-Za-z0-9.:_-]{1,255}$/, "an address or a host name");
const port = whole(0, 65_535);

const pemFile = z.string(want("the path of a PEM file")).min(1, want("the path of a PEM file"));

const simSource = z.strictObject({
  kind: z.literal("sim"),
  /** Updates per second. */
  rate: whole(1, 100_000).default(1000),
  seed: whole(0, 2 ** 32 - 1).default(1),
});

const replaySource = z.strictObject({
  kind: z.literal("replay"),
  path: z.string(want("the path of a recorded feed")).min(1, want("the path of a recorded feed")),
  /** 1 is the recorded pace; Infinity as fast as possible, written "max". */
  speed: z
    .union(
      [z.literal("max").transform(() => Number.POSITIVE_INFINITY), z.number().gt(0)],
      want('a number above 0, or "max"'),
    )
    .default(1),
  loop: z.boolean(want("true or false")).default(false),
});

const websocketSource = z.strictObject({
  kind: z.literal("websocket"),
  /** `kraken:BTC/USD,ETH/USD`, read by the source itself. */
  upstream: text(/^\s*[A-Za-z0-9-]+\s*:.*\S/, "a venue and its symbols, for example kraken:BTC/USD,ETH/USD"),
  url: text(/^wss?:\/\/[^/]/, "an address like wss://host:port").optional(),
  rest: text(/^https?:\/\/[^/]/, "an address like https://host:port").optional(),
  /** Path of a PEM file. */
  ca: pemFile.optional(),
});

const syntheticSource = z.strictObject({
  kind: z.literal("synthetic"),
  /** `channels=10,rate=30,size=200[,spread]`, read by the source itself. */
  shape: z.string(want("a text such as channels=10,rate=30,size=200")).transform((spec, context) => {
    try {
      return parseSynthetic(spec);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const message = error.message.replace(/^synthetic: /, "");
      context.addIssue({ code: "custom", message, params: WHOLE_SENTENCE });
      return z.NEVER;
    }
  }),
});

const sourceKinds = ["sim", "replay", "websocket", "synthetic"] as const;

export const staticSchema = z.strictObject({
  $schema: z.string().optional(),
  nodeId: text(/^[A-Za-z0-9._-]{1,64}$/, "a name of 1 to 64 letters, digits, dots, dashes or underscores"),
  roles: z
    .array(oneOf("ingest", "edge", "admin"), want("a list of ingest, edge, admin"))
    .min(1, want("at least one of ingest, edge, admin"))
    .default(["ingest", "edge", "admin"]),
  host: host.default("127.0.0.1"),
  port: port.default(8080),
  admin: z.strictObject({ host: host.default("127.0.0.1"), port: port.default(9090) }).prefault({}),
  /** Of the public listener. Without: ws:// and http://. */
  tls: z.strictObject({ cert: pemFile, key: pemFile }).optional(),
  /** Another node on this machine may listen on the same public port. */
  sharePort: z.boolean(want("true or false")).default(false),
  /** Over which the sessions of a draining node are closed. */
  drainSeconds: whole(0, 3600, " seconds").default(10),
  workers: whole(1, 256),
  ringBytes: whole(RING_BYTES_MIN, RING_BYTES_MAX, " bytes")
    .refine((bytes) => Number.isInteger(Math.log2(bytes)), want("a power of two, for example 64MiB"))
    .default(RING_BYTES_DEFAULT),
  source: z
    .discriminatedUnion(
      "kind",
      [simSource, replaySource, websocketSource, syntheticSource],
      want(`kind: one of ${sourceKinds.join(", ")}`),
    )
    .prefault({ kind: "sim" }),
  log: z
    .strictObject({
      level: oneOf("debug", "info", "warn", "error", "silent").default("info"),
      format: oneOf("json", "pretty", "auto").default("auto"),
    })
    .prefault({}),
  /** A worker that gave no sign of life for so long is restarted. */
  watchdogMs: whole(500, 600_000, " ms").default(3000),
  defaultMarket: text(/^[a-z0-9]{1,32}$/, "a market in lower case, for example spot").default("spot"),
  /** Where the dynamic configuration stands; with it its routes run instead of `source`. Absent: there is none. */
  configStore: text(/^(file:)?[^:]*[^:/]$|^file:./, "file:PATH, or the path of a JSON file")
    .transform((store) => ({ kind: "file" as const, path: store.replace(/^file:/, "") }))
    .optional(),
  /** Nodes with the same name here, on the same bus, are one gateway. */
  cluster: clusterSchema,
  bus: busSchema,
  checkpoints: checkpointsSchema,
  /** Names of the ingest nodes, this one included; none: this node alone. */
  peers: z
    .array(text(/^[A-Za-z0-9._-]{1,64}$/, "names of nodes"), want("a list of node names"))
    .max(1000, want("at most 1000 node names"))
    .refine((names) => new Set(names).size === names.length, want("each name once"))
    .default([]),
  /** Where brokers' addresses are really dialled. */
  addresses: addressesSchema.default([]),
  limits: limitsSchema.prefault({}),
  topics: topicsSchema.default([]),
});

export type StaticConfig = Readonly<Omit<z.output<typeof staticSchema>, "$schema">>;
