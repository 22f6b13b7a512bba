/** The bus over NATS: its face. */
export { createNatsBus, type NatsBus, type NatsBusOptions, type NatsBusStatus, type Way } from "./bus.ts";
export type { NatsBusCounters } from "./counters.ts";
