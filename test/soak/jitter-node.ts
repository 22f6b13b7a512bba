/**
 * The soak's node, a process of its own whose worker can be killed: a line on stdin ends worker 0 as a fault would, the end
 * of stdin stops the node. Prints its public URL.
 */
import { type Flags, startTestNode } from "../lib/test-node.ts";

const node = await startTestNode(JSON.parse(process.argv[2] ?? "{}") as Flags);
console.log(node.ws);
const decoder = new TextDecoder();
for await (const bytes of Bun.stdin.stream()) {
  for (const _ of decoder.decode(bytes).matchAll(/\n/g))
    node.node.parts.edge?.post(0, { is: "inject", fault: "throw", ms: 0 });
}
await node[Symbol.asyncDispose]();
process.exit(0);
