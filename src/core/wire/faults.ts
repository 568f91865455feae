/**
 * What a peer can do wrong, as values: the core returns a fault, and what drives it closes the connection, answers, or
 * makes an error of it. A broken invariant of our own throws instead.
 */

/** Stable names; docs/protocol.md says for each what it means and what is done about it. */
export type FaultCode =
  /** Not a frame of this protocol, or not one that is legal now. Closes the connection; three times at one place, the link. */
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
  | "wrong-proof";

export interface Fault {
  readonly code: FaultCode;
  /** For logs; never holds secrets. */
  readonly detail: string;
}

export function fault(code: FaultCode, detail: string): Fault {
  return { code, detail };
}

/** At the same place, on so many connections in a row. */
const MISTAKES_TO_END = 3;

/** Of a session: how far each direction has come. */
interface Place {
  keys: { id: string };
  receiver: { received: number };
  sender: { acked: number };
}

/** Tells a mistake that a resume puts right from one that it brings again. */
export class Mistakes {
  #sessionId = "";
  #received = -1;
  #acked = -1;
  #inARow = 0;

  /** So would the next resume. A gap is no sign of that: bytes that are swallowed leave one each time. */
  recurs({ code }: Fault, { keys, receiver, sender }: Place): boolean {
    const isAtSamePlace =
      keys.id === this.#sessionId && receiver.received === this.#received && sender.acked === this.#acked;
    this.#inARow = isAtSamePlace ? this.#inARow + 1 : 1;
    this.#sessionId = keys.id;
    this.#received = receiver.received;
    this.#acked = sender.acked;
    return code !== "gap" && this.#inARow >= MISTAKES_TO_END;
  }
}
