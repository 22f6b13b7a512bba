/** The ring from the engine to the edge workers: everything others may use of it. */

export { createRing, RING_BYTES_DEFAULT, RING_BYTES_MAX, RING_BYTES_MIN } from "./layout.ts";
export { createRingReader } from "./reader.ts";
export type { RecordFields, RingReader, RingReaderOptions, RingReaders, RingRecord, RingWriter } from "./ring.ts";
export { createRingWriter } from "./writer.ts";
