/**
 * How an instrument that another node's owner tells is taken into this node's registry.
 *
 * Invariants: every order of telling ends with the same tick and lot on all nodes: what the configuration says stays, what
 * is inferred only gets finer, what a source told replaces what was inferred. An instrument that this node feeds itself
 * is not replaced, so two owners of different channels of one instrument never answer each other for ever.
 */
import type { Instrument } from "../channel/instruments.ts";
import type { InstrumentRegistry } from "../channel/registry.ts";

export type Registry = Pick<InstrumentRegistry, "find" | "add" | "update">;

/** `isFixed`: configured, or fed by a shard of this node. Throws GatewayError where the spelling clashes. */
export function takeInstrument(registry: Registry, told: Instrument, isFixed: boolean): void {
  const known = registry.find(told.market, told.symbol);
  if (known === null) {
    registry.add(told);
    return;
  }
  if (known.inferred && told.inferred) {
    const steps = { tick: finer(known.tick, told.tick), lot: finer(known.lot, told.lot) };
    const { base, quote, status } = isFixed ? known : told;
    registry.update(told.market, told.symbol, { ...steps, base, quote, status });
  } else if (!isFixed && !told.inferred) {
    // Also refuses another spelling of the symbol.
    if (JSON.stringify(known) !== JSON.stringify(told)) registry.add(told);
  } else if (!isFixed) {
    registry.update(told.market, told.symbol, { status: told.status });
  }
}

/** Steps made from decimals seen are powers of ten: the longer text is the finer one. */
const finer = (one: string, other: string): string => (other.length > one.length ? other : one);
