/**
 * The mistakes that a peer can make, as values: the core returns a fault, and its caller closes the connection,
 * answers, or makes an error of it. A broken invariant of our own throws instead.
 */

/** Stable names. docs/protocol.md lists the meaning of each, and how it is handled. */
export type FaultCode =
  /**
   * Not a frame of this protocol, or not legal now. Closes the connection; three times at one place, it ends the link.
   */
  | "bad-frame"
  /** A length above what its frame or message may have. Closes the connection. */
  | "oversized"
  /** DATA that begins above what was received. Closes the connection; a resume puts it right. */
  | "gap"
  /** DATA beyond the credit that was given, or beyond a known END. Closes the connection. */
  | "beyond-credit"
  /** A position that the session cannot have. Ends the link. */
  | "impossible-position"
  /** A wrong proof, secret or MAC. Closes the connection. */
  | "wrong-proof";

export interface Fault {
  readonly code: FaultCode;
  /** For logs; never holds secrets. */
  readonly detail: string;
}

export function fault(code: FaultCode, detail: string): Fault {
  return { code, detail };
}

/** The link ends after a mistake at the same place on so many connections in a row. */
const MISTAKES_TO_END = 3;

/** A place in a session: how far each direction has come. */
interface Place {
  keys: { id: string };
  receiver: { received: number };
  sender: { acked: number };
}

/** Distinguishes a mistake that a resume puts right from one that a resume would meet again. */
export class Mistakes {
  #sessionId = "";
  #received = -1;
  #acked = -1;
  #inARow = 0;

  /** The next resume would fail in the same way. Gaps do not count: bytes that the path loses leave a gap each time. */
  recurs({ code }: Fault, { keys, receiver, sender }: Place): boolean {
    if (code === "gap") return false;
    const isAtSamePlace =
      keys.id === this.#sessionId && receiver.received === this.#received && sender.acked === this.#acked;
    this.#inARow = isAtSamePlace ? this.#inARow + 1 : 1;
    this.#sessionId = keys.id;
    this.#received = receiver.received;
    this.#acked = sender.acked;
    return this.#inARow >= MISTAKES_TO_END;
  }
}
