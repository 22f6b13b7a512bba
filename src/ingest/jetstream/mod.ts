/** Face of the source `jetstream`: streams of NATS as a broker. */
export { createJetstreamBroker } from "./broker.ts";
export { JETSTREAM_PROPERTIES } from "./properties.ts";
