/** How a dial failed. */
export class DialError extends Error {
  readonly kind: "failed" | "timed-out" | "certificate" | "aborted";

  constructor(kind: DialError["kind"], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}
