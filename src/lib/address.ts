/**
 * Internet addresses and ranges of them, IPv4 and IPv6 (ipaddr.js).
 *
 * Invariants: an IPv4 address that came in as IPv6 (::ffff:10.0.0.1) is the IPv4 address; forms that only old C libraries
 * read (10.1, 0x7f.1, 010.0.0.1) are no addresses.
 */
import ipaddr from "ipaddr.js";

export type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number];

/** Bits of an IPv6 address that name one customer; the rest are theirs to choose. */
const NETWORK_BITS = 64;

/** The address, or null if the text is none. */
export function parseAddress(text: string): Address | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  return text.includes(":") && ipaddr.IPv6.isValid(text) ? ipaddr.process(text) : null;
}

/** An address as proxies write it: also `1.2.3.4:5678`, `[::1]` and `[::1]:5678`. */
export function parseAddressAndPort(text: string): Address | null {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  return parseAddress(bare);
}

/** What counts as one place a client comes from: an IPv4 address, or the /64 of an IPv6 address. */
export function networkOf(address: Address): string {
  if (address.kind() === "ipv4") return address.toString();
  const { parts } = address as ipaddr.IPv6;
  return `${parts
    .slice(0, NETWORK_BITS / 16)
    .map((part) => part.toString(16))
    .join(":")}::/${NETWORK_BITS}`;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address; null if it is neither. */
function parseRange(text: string): Range | null {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const width = address.kind() === "ipv4" ? 32 : 128;
  if (slash < 0) return [address, width];
  const bits = /^\d{1,3}$/.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : Number.NaN;
  return bits <= width ? [address, bits] : null;
}

export const isRange = (text: string): boolean => parseRange(text) !== null;

export class AddressRanges {
  readonly #ranges: readonly Range[];

  /** Every text is a range (`isRange`). */
  constructor(texts: readonly string[]) {
    this.#ranges = texts.map((text) => {
      const range = parseRange(text);
      if (range === null) throw new RangeError(`"${text}" is no address and no range`);
      return range;
    });
  }

  get empty(): boolean {
    return this.#ranges.length === 0;
  }

  has(address: Address): boolean {
    const kind = address.kind();
    return this.#ranges.some(([base, bits]) => base.kind() === kind && address.match(base, bits));
  }
}
