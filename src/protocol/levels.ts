/** JSON text of book levels, `[["price","quantity"],..]`: the hottest loop of every encoder. */
import type { Level } from "../channel/types.ts";

export function levelsText(levels: readonly Level[]): string {
  let text = "[";
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    text += `${i === 0 ? '["' : ',["'}${level[0]}","${level[1]}"]`;
  }
  return `${text}]`;
}
