/** Source `websocket`: other exchanges' public feeds. */
export type { TlsOptions } from "./inbox.ts";
export { createWebSocket, type WebSocketOptions } from "./source.ts";
export { parseUpstream, type Upstream, type UpstreamInput, upstreamInputs } from "./upstream.ts";
export { type Link, rawLink, type Venue } from "./venue.ts";
export { venueNamed, venueNames } from "./venues.ts";
