/**
 * Who may import whom. The rooms follow the data: sources -> ingest -> bus -> engine -> ring -> edge.
 * Tests beside the code keep to the same rules except where a rule says otherwise.
 */
const tests = "\\.test\\.ts$";
const only = (name, room, allowed, comment) => ({
  name,
  comment,
  severity: "error",
  from: { path: `^src/${room}/`, pathNot: tests },
  to: { path: "^(src|sim|bin|load|bench|test|client)/", pathNot: [`^src/${room}/`, ...allowed] },
});
const never = (name, from, to, comment, fromNot = [tests]) => ({
  name,
  comment,
  severity: "error",
  from: { path: from, pathNot: fromNot },
  to: { path: to },
});

module.exports = {
  forbidden: [
    only("lib", "lib", [], "lib knows nothing of ours"),
    only("channel", "channel", ["^src/lib/"], "channel imports only lib"),
    only("ring", "ring", ["^src/lib/", "^src/channel/"], "the ring imports only lib and channel"),
    only("bus", "bus", ["^src/lib/", "^src/channel/"], "the bus imports only lib and channel"),
    only(
      "protocol",
      "protocol",
      ["^src/lib/", "^src/channel/", "^src/ring/messages\\.ts$"],
      "protocol imports only lib, channel and ring/messages.ts",
    ),
    only(
      "engine",
      "engine",
      ["^src/lib/", "^src/channel/", "^src/ring/", "^src/protocol/", "^src/bus/"],
      "engine imports only lib, channel, ring, protocol and bus",
    ),
    only(
      "admin",
      "admin",
      [
        "^src/lib/",
        "^src/channel/",
        "^src/ring/messages\\.ts$",
        "^src/ingest/(broker|source)\\.ts$",
        "^src/protocol/codes\\.ts$",
      ],
      "admin takes functions from the node, it does not reach into the parts",
    ),
    only(
      "config",
      "config",
      [
        "^src/lib/",
        "^src/channel/",
        "^src/ring/mod\\.ts$",
        "^src/ingest/synthetic-flag\\.ts$",
        "^src/ingest/broker\\.ts$",
        "^src/ingest/mapper/declarative/",
        "^src/bus/subject\\.ts$",
        "^src/edge/(config|limit-table|live-limits)\\.ts$",
      ],
      "config imports lib, channel and what judges a setting's value",
    ),
    only("cluster", "cluster", ["^src/lib/", "^src/channel/"], "what nodes agree on imports only lib and channel"),
    only(
      "routes",
      "routes",
      ["^src/lib/", "^src/channel/", "^src/cluster/", "^src/config/dynamic/types\\.ts$", "^src/ingest/"],
      "routes imports lib, channel, cluster, ingest and what a configuration is",
    ),
    never(
      "brokers",
      "^src/routes/",
      "^src/ingest/(kafka|nats|jetstream|redis-stream)/",
      "routes knows no broker by name",
    ),
    never("ingest", "^src/ingest/", "^src/(edge|admin|cli)/", "ingest never imports edge, admin or the command line"),
    never(
      "edge",
      "^src/edge/",
      "^src/(ingest|bus|engine|admin|cli|cluster|config/store)/",
      "edge never imports ingest, bus, engine or stores",
    ),
    {
      name: "sim",
      comment: "the simulated exchange imports only channel and lib",
      severity: "error",
      from: { path: "^sim/", pathNot: tests },
      to: { path: "^(src|bin|load|bench|test|client)/", pathNot: ["^src/lib/", "^src/channel/"] },
    },
    never("client", "^client/src/", "^(src|sim|bin|load|bench|test)/", "the client is a package of its own"),
    {
      name: "client-packages",
      comment: "the client runs in browsers too: it imports no packages and nothing of Node or Bun",
      severity: "error",
      from: { path: "^client/src/", pathNot: tests },
      to: { dependencyTypes: ["core", "npm", "npm-dev", "npm-no-pkg", "npm-unknown"] },
    },
    never(
      "node",
      "^(src|sim|load|client)/",
      "^src/node\\.ts$",
      "the composition root is imported by the command line and tests only",
      [tests, "^src/cli/"],
    ),
    never("test-code", "^(bin|src|sim|load|client)/", "^(test|bench)/|\\.test\\.ts$", "code does not import tests"),
    {
      name: "no-cycles",
      comment: "no module waits for itself to load; types of neighbours may name each other",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "resolvable",
      comment: "every import can be resolved",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^bun(:|$)" },
    },
    {
      name: "declared",
      comment: "what runs imports only packages under `dependencies`",
      severity: "error",
      from: { path: "^(bin|src|sim)/", pathNot: tests },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], pathNot: "/bun-types/|/@types/" },
    },
  ],
  options: {
    parser: "swc",
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      extensions: [".ts", ".mjs", ".cjs", ".js"],
      conditionNames: ["bun", "import", "require", "node", "default"],
    },
  },
};
