/**
 * Whom a request comes from, behind proxies that are trusted to say so.
 *
 * Invariants: what somebody we do not trust wrote into X-Forwarded-For changes nothing: the list is read from its end, each
 * entry only if whoever added it is trusted. What cannot be read ends the reading.
 */
import { type Address, type AddressRanges, parseAddressAndPort } from "../../lib/address.ts";

export function clientAddress(peer: Address, forwardedFor: string | null, trusted: AddressRanges): Address {
  if (forwardedFor === null || trusted.empty) return peer;
  const entries = forwardedFor.split(",");
  let client = peer;
  while (trusted.has(client)) {
    const entry = entries.pop();
    const before = entry === undefined ? null : parseAddressAndPort(entry.trim());
    if (before === null) break;
    client = before;
  }
  return client;
}
