/**
 * Which endpoint a request's path belongs to, and the wire its sessions share.
 *
 * On the path: listener -> ROUTES -> session.
 * Invariants: the longest prefix wins, at segment borders, but another version of an endpoint (`/ws/quote/v2` beside
 * `/ws/quote/v1`) is unknown, whatever prefix it has; there is one `Wire` per endpoint, time unit and envelope, so a
 * session costs a pointer to it.
 */
import type { Dialect, Opening, StreamRequest } from "../protocol/dialect.ts";
import type { Form } from "../ring/messages.ts";
import type { EndpointConfig, RestConfig } from "./config.ts";
import type { Wire } from "./session/session.ts";

export type Route =
  | { readonly is: "ws"; readonly path: string; readonly endpoint: EndpointConfig }
  | { readonly is: "rest"; readonly path: string; readonly rest: RestConfig };

export interface Door {
  readonly wire: Wire;
  readonly streams: readonly StreamRequest[];
}

export class Routes {
  /** Longest first. */
  readonly #routes: readonly Route[];
  readonly #dialects: Readonly<Record<Form["dialect"], Dialect>>;
  readonly #wires = new Map<string, Wire>();
  /** Paths of endpoints that end in a version, without it. */
  readonly #versioned: ReadonlySet<string>;

  constructor(
    endpoints: readonly EndpointConfig[],
    rest: readonly RestConfig[],
    dialects: Readonly<Record<Form["dialect"], Dialect>>,
  ) {
    const routes: Route[] = [
      ...endpoints.map((endpoint) => ({ is: "ws" as const, path: endpoint.path, endpoint })),
      ...rest.map((one) => ({ is: "rest" as const, path: one.path, rest: one })),
    ];
    this.#routes = routes.sort((a, b) => b.path.length - a.path.length);
    this.#dialects = dialects;
    this.#versioned = new Set(endpoints.flatMap(({ path }) => unversioned(path) ?? []));
  }

  match(path: string): Route | null {
    if (this.#isOtherVersion(path)) return null;
    for (const route of this.#routes) {
      if (path === route.path || path.startsWith(route.path.endsWith("/") ? route.path : `${route.path}/`))
        return route;
    }
    return null;
  }

  /** Who asks for it takes it for what it is not: it would open as a Binance path with odd streams. */
  #isOtherVersion(path: string): boolean {
    const base = unversioned(path);
    return base !== null && !this.#routes.some((one) => one.path === path) && this.#versioned.has(base);
  }

  /** Prefixes, as an answer to an unknown path names them. */
  paths(): string[] {
    return this.#routes.map(({ is, path }) => (is === "rest" ? `${path}/...` : path)).sort();
  }

  /** What the URL asks for; a string is the reason for a 400. */
  open(endpoint: EndpointConfig, path: string, query: URLSearchParams): Door | string {
    const opening = this.#dialects[endpoint.dialect].open(endpoint.market, path, query);
    if (typeof opening === "string") return opening;
    return { wire: this.#wire(endpoint, opening), streams: opening.streams };
  }

  #wire(endpoint: EndpointConfig, asked: Opening): Wire {
    const { market, form, combined, route = "" } = asked;
    const key = `${endpoint.path} ${market} ${route} ${form.timeUnit} ${combined}`;
    let wire = this.#wires.get(key);
    if (wire === undefined) {
      const opening: Opening = { ...asked, streams: [] };
      wire = {
        endpoint,
        dialect: this.#dialects[endpoint.dialect],
        opening,
        other: () => this.#wire(endpoint, { ...opening, combined: !combined }),
      };
      this.#wires.set(key, wire);
    }
    return wire;
  }
}

/** `/ws/quote` of `/ws/quote/v1`; null without a version. */
const unversioned = (path: string): string | null => /^(.+)\/v\d+$/.exec(path)?.[1] ?? null;
