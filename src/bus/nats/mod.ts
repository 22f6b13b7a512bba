/** The bus over NATS: its face. */
export { createNatsBus } from "./bus.ts";
export type { NatsBusCounters } from "./counters.ts";
export type { NatsBus, NatsBusOptions, NatsBusStatus } from "./options.ts";
export type { Way } from "./topics.ts";
