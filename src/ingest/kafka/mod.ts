/** Sources of a Kafka cluster. */
import type { Broker, BrokerTools } from "../broker.ts";
import { KafkaBroker } from "./broker.ts";

export { KAFKA_PROPERTIES } from "./property-table.ts";

/** Throws GatewayError BROKER_PROPERTIES; what is wrong with the cluster is told in its status. */
export const createKafkaBroker = (tools: BrokerTools): Broker => new KafkaBroker(tools);
