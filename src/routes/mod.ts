/** Routes: what the dynamic configuration makes a node read. */
export { type BrokerFactories, type BrokerFactory, Brokers } from "./brokers.ts";
export { Fanout } from "./fanout.ts";
export { knowInstruments, knowTopics, plansOf, providedBy, type RoutePlan } from "./plan.ts";
export { type RouteInputStatus, Routes, type RoutesStatus } from "./routes.ts";
