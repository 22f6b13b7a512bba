/** The worker that parses one big document (read.ts). */
import { parseDynamic } from "./parse.ts";
import type { ParseOrder } from "./read.ts";

declare const self: Worker;

self.onmessage = (event: MessageEvent<ParseOrder>): void => {
  self.postMessage(parseDynamic(event.data.text, event.data.context));
};
