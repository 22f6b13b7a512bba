/** A test node that plays ten minutes of one book and its trades, `btcusdt`: it begins at once, unlike the simulated exchange. */
import { RecordingWriter } from "./kraken-recording.ts";
import type { PlainLevel } from "./plain-book.ts";
import type { TempFolder } from "./temp-folder.ts";
import { startTestNode, type TestNode } from "./test-node.ts";

const STEPS = 6000;
const STEP_MS = 100;

/** `middle`: around which price. */
export async function startPlayingNode(
  folder: TempFolder,
  { nodeId = "test", middle = 50_000, port = 0 } = {},
): Promise<TestNode> {
  const side = (sign: number): PlainLevel[] =>
    Array.from({ length: 10 }, (_, at) => [(middle + sign * (at + 1)).toFixed(5), "1.00000000"]);
  const writer = new RecordingWriter("BTC/USDT").snapshot(side(-1), side(1));
  for (let step = 0; step < STEPS; step++) {
    writer.wait(STEP_MS).bid((middle - 1 - (step % 5)).toFixed(5), `${(step % 9) + 1}.50000000`);
    writer.trade(middle.toFixed(5), `${step}.00000000`, "b");
  }
  const replay = folder.write(`${nodeId}.ws`, writer.text());
  const node = await startTestNode({ replay, speed: "1", nodeId, port: String(port) });
  await node.instruments(1);
  return node;
}
