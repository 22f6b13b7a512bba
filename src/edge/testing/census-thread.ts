/** A worker thread that counts in a census as fast as it can: comes and goes, and ends with what it was told to keep. */
import { Census } from "../admission/census.ts";

declare const self: Worker;

self.onmessage = (event: MessageEvent<{ memory: SharedArrayBuffer; column: number; rounds: number; keys: number }>) => {
  const { memory, column, rounds, keys } = event.data;
  const census = new Census(memory, column);
  let lost = 0;
  let over = 0;
  const seats: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const place = census.add(`key ${(round * 7 + column) % keys}`, round);
    if (place < 0) lost++;
    else seats.push(place);
    // At most three of any key at a time here.
    if (seats.length > 3 * keys) census.remove(seats.shift()!);
    if (census.enter(1) && census.sessions > 1) over++;
    else if (census.sessions > 1_000_000) over++;
  }
  for (const place of seats) census.remove(place);
  for (let at = 0; at < 5; at++) census.add("kept", rounds);
  self.postMessage({ lost, over });
};
