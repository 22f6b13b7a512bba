/** Watches a gateway's outboxes through its metrics, more often than they are brought up to date. */

const EVERY_MS = 500;

export class OutboxWatch {
  /** The highest age of an unsent byte of an open session. */
  ageSeconds = 0;
  bytesMax = 0;
  /** As of the last look. */
  bytes = 0;
  actions: Readonly<Record<string, number>> = {};
  readonly #url: string;
  #timer: Timer | null = null;
  #looking: Promise<void> = Promise.resolve();

  constructor(adminPort: number) {
    this.#url = `http://127.0.0.1:${adminPort}/metrics`;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#looking = this.#looking.then(() => this.look());
    }, EVERY_MS);
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.#looking;
  }

  async look(): Promise<void> {
    const lines = (await (await fetch(this.#url)).text()).split("\n");
    const read = (name: string): number => Number(lines.find((line) => line.startsWith(`${name} `))?.split(" ")[1]);
    this.ageSeconds = Math.max(this.ageSeconds, read("tidegate_outbox_age_seconds"));
    this.bytes = read("tidegate_outbox_bytes");
    this.bytesMax = Math.max(this.bytesMax, this.bytes);
    const actions: Record<string, number> = {};
    for (const line of lines) {
      const [, action, times] = /^tidegate_slow_total\{action="(\w+)"\} (\d+)/.exec(line) ?? [];
      if (action !== undefined) actions[action] = Number(times);
    }
    this.actions = actions;
  }
}
