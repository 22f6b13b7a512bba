/** The bus over NATS: its face. */
export { createNatsBus, type NatsBus, type NatsBusOptions, type NatsBusStatus } from "./bus.ts";
export type { NatsBusCounters } from "./counters.ts";
