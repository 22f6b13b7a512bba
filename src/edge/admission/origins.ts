/**
 * Which pages may connect: the browser says in `Origin` whose script it is; other programs say nothing and may.
 *
 * `https://app.example.com`, or `https://*.example.com` for everything below it. Schemes, hosts and ports are compared
 * whole, in lower case.
 */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/(\*\.)?(\[[0-9a-f:]+\]|[a-z0-9._-]+)(:\d{1,5})?$/;

export const isOriginPattern = (text: string): boolean => text === "null" || ORIGIN.test(text.toLowerCase());

export class Origins {
  readonly #exact = new Set<string>();
  /** What an origin begins and ends with. */
  readonly #below: { readonly before: string; readonly after: string }[] = [];

  /** Nothing allowed is everything allowed. */
  constructor(patterns: readonly string[]) {
    for (const pattern of patterns.map((text) => text.toLowerCase())) {
      const star = pattern.indexOf("*");
      if (star < 0) this.#exact.add(pattern);
      else this.#below.push({ before: pattern.slice(0, star), after: pattern.slice(star + 1) });
    }
  }

  allows(origin: string | null): boolean {
    if (origin === null || (this.#exact.size === 0 && this.#below.length === 0)) return true;
    const asked = origin.toLowerCase();
    if (this.#exact.has(asked)) return true;
    return this.#below.some(({ before, after }) => {
      const name = asked.slice(before.length, -after.length);
      return asked.startsWith(before) && asked.endsWith(after) && /^[a-z0-9._-]+$/.test(name);
    });
  }
}
