/** The edge: everything others may use of it. */

export {
  type CommandLimit,
  checkEdgeConfig,
  DEFAULT_EDGE_CONFIG,
  DEFAULT_ENDPOINTS,
  DEFAULT_LIMITS,
  DEFAULT_REST,
  type EdgeConfig,
  type EdgeLimits,
  type EndpointConfig,
  type RestConfig,
  type TlsPair,
} from "./config.ts";
export { probePort } from "./probe.ts";
export { Renewal } from "./renewal.ts";
export { type Edge, type EdgeMessage, type EdgeOptions, type EdgeSettings, startEdge } from "./supervisor.ts";
export type { EdgeTotals } from "./totals.ts";
