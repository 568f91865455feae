/** How a dial failed. */
export class DialError extends Error {
  /** "certificate-dates": the certificate is right, but has expired or is not valid yet, which time can mend. */
  readonly kind: "failed" | "timed-out" | "certificate" | "certificate-dates" | "aborted";

  constructor(kind: DialError["kind"], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}
