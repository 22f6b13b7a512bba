/** A depth update such as an exchange sends: prices near each other, quantities at random. About `size` bytes. */
export function depthFrame(number: number, size: number): string {
  const levels = Math.max(1, Math.floor((size - 130) / 46));
  const side = (from: number, step: number): [string, string][] =>
    Array.from({ length: levels }, (_, level) => {
      const mixed = Math.imul(number * 31 + level * 7 + from, 2_654_435_761) >>> 0;
      return [((from + step * (level * 3 + (mixed % 3))) / 100).toFixed(2), ((mixed % 1_000_000) / 100_000).toFixed(5)];
    });
  const data = { bids: side(6_412_300, -1), asks: side(6_412_400, 1) };
  const time = 1_795_321_303_824 + number * 10;
  const head = { channel: "btcusdt@depth", type: "delta", prev: number, from: number + 1, seq: number + 1, time };
  return JSON.stringify({ ...head, sentUs: time * 1000 + 417, data });
}
