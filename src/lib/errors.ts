/** The two kinds of errors: `assert` for a programmer's, `GatewayError` for an operating one. */

/** An operating error: `code` is stable and machine-readable, the message says what is wrong and what to change. */
export class GatewayError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "GatewayError";
    this.code = code;
  }
}

/** Throws if a programmer's assumption does not hold. */
export function assert(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${sentence}`);
}
