/**
 * Admission: who may open a session, decided from its HTTP request, before the upgrade.
 *
 * On the path: listener (path) -> ADMISSION (limits) -> session. Asked once per connection; a session holds its seat until
 * `left`. Limits are those of the node: what is counted is counted over all workers (census.ts).
 * Invariants: a refusal is an HTTP answer that says which limit it was and what to do; each is counted under the limit's
 * name; a seat is given back once, however the session ends.
 * At the limit: 403 for who may never come in, 429 for who asks too often or has too much, 503 when the node is full. An
 * address that finds no place in a full census comes in uncounted (`census`).
 */
import type { Server } from "bun";
import { type Address, AddressRanges, networkOf, parseAddress } from "../../lib/address.ts";
import { type CodeEntry, ERRORS } from "../../protocol/codes.ts";
import type { EdgeLimits } from "../config.ts";
import type { Counters } from "../counters.ts";
import { sentence } from "../rest.ts";
import { type Session, UNSEATED } from "../session/session.ts";
import { type Census, FULL } from "./census.ts";
import { clientAddress } from "./client-address.ts";
import { Origins } from "./origins.ts";

/** Seconds after which a client that found the node full may ask again, the second half by chance. */
const FULL_RETRY_SECONDS = 10;
/** The part of a session's life that chance may take, so that those who came together do not go together. */
const LIFE_JITTER = 0.1;

/** Instead of a place. */
const TOO_MANY = -3;

/** Somebody whose address is not asked for, because no limit needs it. */
const ANYBODY = null;
export type Client = Address | typeof ANYBODY;

type Named = Pick<EdgeLimits, "allow" | "deny" | "origins" | "sessionsMax" | "sessionsPerIpMax" | "sessionsPerUserMax">;

export interface AdmissionParts {
  readonly census: Census;
  readonly counters: Pick<Counters, "limited" | "error">;
  /** One clock for all workers: the wall's. */
  readonly wallMs: () => number;
  readonly random: () => number;
}

/** What is made of the limits to ask it quickly. */
interface Gate {
  readonly allow: AddressRanges;
  readonly deny: AddressRanges;
  readonly trusted: AddressRanges;
  readonly origins: Origins;
  /** Some limit needs the client's address. */
  readonly knowsAddresses: boolean;
}

function gateOf(limits: EdgeLimits): Gate {
  const [allow, deny] = [new AddressRanges(limits.allow), new AddressRanges(limits.deny)];
  const counts = limits.sessionsPerIpMax > 0 || limits.connects.perSecond > 0;
  return {
    allow,
    deny,
    trusted: new AddressRanges(limits.trustedProxies),
    origins: new Origins(limits.origins),
    knowsAddresses: counts || !allow.empty || !deny.empty,
  };
}

export class Admission {
  readonly #limits: EdgeLimits;
  readonly #parts: AdmissionParts;
  #gate: Gate;

  constructor(limits: EdgeLimits, parts: AdmissionParts) {
    this.#limits = limits;
    this.#parts = parts;
    this.#gate = gateOf(limits);
  }

  /** The limits have changed: for whoever comes from now on. */
  changed(): void {
    this.#gate = gateOf(this.#limits);
  }

  /** Whom the request comes from, or why nothing of that address is answered. */
  client(request: Request, server: Pick<Server<Session>, "requestIP">): Client | Response {
    const { knowsAddresses, trusted, deny, allow } = this.#gate;
    if (!knowsAddresses) return ANYBODY;
    const peer = parseAddress(server.requestIP(request)?.address ?? "");
    // It has gone already.
    if (peer === null) return sentence(400, "the connection has no address any more");
    const address = clientAddress(peer, request.headers.get("x-forwarded-for"), trusted);
    if (deny.has(address)) return this.#never("deny", ERRORS.ADDRESS_REFUSED, address.toString());
    if (allow.empty || allow.has(address)) return address;
    return this.#never("allow", ERRORS.ADDRESS_REFUSED, address.toString());
  }

  /** Gives the session a seat, or says why not. */
  enter(session: Session, client: Client, origin: string | null): Response | null {
    if (!this.#gate.origins.allows(origin)) return this.#never("origins", ERRORS.ORIGIN_REFUSED, origin ?? "");
    const { sessionsMax, sessionMsMax } = this.#limits;
    const { census, random } = this.#parts;
    const busy = client === ANYBODY ? null : this.#spend(networkOf(client));
    if (busy !== null) return busy;
    if (!census.enter(sessionsMax === 0 ? Number.POSITIVE_INFINITY : sessionsMax)) {
      const retry = Math.ceil((FULL_RETRY_SECONDS * (1 + random())) / 2);
      return this.#refuse(503, "sessionsMax", ERRORS.NODE_FULL, `${sessionsMax}`, retry);
    }
    const crowd = this.#count("address", client === ANYBODY ? "" : networkOf(client), this.#limits.sessionsPerIpMax);
    if (crowd === TOO_MANY) {
      census.leave();
      const { sessionsPerIpMax } = this.#limits;
      return this.#refuse(429, "sessionsPerIpMax", ERRORS.TOO_MANY_SESSIONS, `an address may have ${sessionsPerIpMax}`);
    }
    session.addressPlace = crowd;
    if (sessionMsMax > 0) session.endsMs = session.heardMs + sessionMsMax * (1 - LIFE_JITTER * random());
    return null;
  }

  /** Counts the session for the user that it has logged in as; false: the user has too many. */
  login(session: Session, user: string): boolean {
    const place = this.#count("user", user, this.#limits.sessionsPerUserMax);
    if (place === TOO_MANY) {
      this.#parts.counters.limited("sessionsPerUserMax");
      this.#parts.counters.error(ERRORS.TOO_MANY_SESSIONS.code);
      return false;
    }
    this.#forget(session.userPlace);
    session.userPlace = place;
    return true;
  }

  /** The session is over, or never began. */
  left(session: Session): void {
    if (session.addressPlace === UNSEATED) return;
    this.#forget(session.addressPlace);
    this.#forget(session.userPlace);
    session.addressPlace = UNSEATED;
    session.userPlace = UNSEATED;
    this.#parts.census.leave();
  }

  // --- inside -------------------------------------------------------------------------------------------------------

  #spend(network: string): Response | null {
    const { perSecond, burst } = this.#limits.connects;
    if (perSecond === 0) return null;
    const { census, counters, wallMs } = this.#parts;
    const waitMs = census.spend(network, perSecond, burst, wallMs());
    if (waitMs === FULL) counters.limited("census");
    if (waitMs <= 0) return null;
    const rule = `an address may open ${perSecond} a second and ${burst} at once`;
    return this.#refuse(429, "connects", ERRORS.TOO_MANY_CONNECTS, rule, Math.ceil(waitMs / 1000));
  }

  /** One more of `name`: its place in the census, FULL if it is not counted, TOO_MANY if there are `max` already. */
  #count(what: "address" | "user", name: string, max: number): number {
    if (max === 0 || name === "") return FULL;
    const { census, counters, wallMs } = this.#parts;
    const key = what === "address" ? name : `user ${name}`;
    const place = census.add(key, wallMs());
    if (place === FULL) {
      counters.limited("census");
      return FULL;
    }
    // Counted first, so that two workers at once can be refused both but never let in both.
    if (census.count(key) <= max) return place;
    census.remove(place);
    return TOO_MANY;
  }

  #forget(place: number): void {
    if (place >= 0) this.#parts.census.remove(place);
  }

  #never(limit: keyof Named, entry: CodeEntry, who: string): Response {
    return this.#refuse(403, limit, entry, who);
  }

  #refuse(status: number, limit: string, { code, message, advice }: CodeEntry, detail: string, retry = 0): Response {
    this.#parts.counters.limited(limit);
    this.#parts.counters.error(code);
    // Closed, so that whoever is refused does not keep the connection.
    const headers = { connection: "close", ...(retry > 0 ? { "retry-after": String(retry) } : {}) };
    return sentence(status, `${message} (${detail}): ${advice}`, { code, limit }, headers);
  }
}
