/** Face of the source `nats`: core NATS as a broker. */
export { createNatsBroker, NATS_PROPERTIES } from "./broker.ts";
