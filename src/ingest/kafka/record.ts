/** A record of Kafka as mappers see it; where it came from stays with it for the dead-letter topic. */
import type { BrokerRecord } from "../broker.ts";

export class KafkaRecord implements BrokerRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly time: number | null;
  readonly value: Uint8Array;
  readonly keyBytes: Buffer | null;

  constructor(topic: string, partition: number, offset: number, time: number, keyBytes: Buffer | null, value: Buffer) {
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.time = time < 0 ? null : time;
    this.keyBytes = keyBytes;
    this.value = value;
  }

  get key(): string | null {
    return this.keyBytes === null ? null : this.keyBytes.toString("utf8");
  }

  /** For keeping: without the rest of what was fetched with it. */
  copy(): KafkaRecord {
    const key = this.keyBytes === null ? null : Buffer.from(this.keyBytes);
    return new KafkaRecord(this.topic, this.partition, this.offset, this.time ?? -1, key, Buffer.from(this.value));
  }
}
