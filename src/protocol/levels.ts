/** JSON text of book levels, `[["price","quantity"],..]`: the hottest loop of every encoder. */
import type { Level } from "../channel/types.ts";

const DIGIT_ZERO = 48;

/** `gone`: how a quantity of zero is spelled; without it as it is held. */
export function levelsText(levels: readonly Level[], gone: string | null = null): string {
  let text = "[";
  for (let i = 0; i < levels.length; i++) {
    const [price, quantity] = levels[i]!;
    const isGone = gone !== null && quantity.charCodeAt(0) === DIGIT_ZERO && Number(quantity) === 0;
    text += `${i === 0 ? '["' : ',["'}${price}","${isGone ? gone : quantity}"]`;
  }
  return `${text}]`;
}
