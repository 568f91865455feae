/**
 * What a peer can do wrong, as values: the core returns a fault, and what drives it closes the connection, answers, or
 * makes an error of it. A broken invariant of our own throws instead.
 */

/** Stable names; docs/protocol.md says for each what it means and what is done about it. */
export type FaultCode =
  /** Not a frame of this protocol, or not one that is legal now. Closes the connection. */
  | "bad-frame"
  /** A length above what its frame or message may have. Closes the connection. */
  | "oversized"
  /** DATA that begins above what was received. Closes the connection; a resume puts it right. */
  | "gap"
  /** DATA beyond the credit that was given, or beyond a known END. Closes the connection. */
  | "beyond-credit"
  /** A position that the session we know cannot have. Ends the link. */
  | "impossible-position"
  /** A wrong proof, secret or MAC. Closes the connection. */
  | "wrong-proof"
  /** Another version or mode than ours. Ends the link. */
  | "mismatch";

export interface Fault {
  readonly code: FaultCode;
  /** For logs; never holds secrets. */
  readonly detail: string;
}

export function fault(code: FaultCode, detail: string): Fault {
  return { code, detail };
}
