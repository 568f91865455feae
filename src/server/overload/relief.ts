/** What a server can do against overload. Whoever decides that it is done knows nothing of its protocol. */
import type { OverloadAction } from "../../core/overload/actions.ts";
import type { Resource } from "../../core/overload/rules.ts";

/** The bounds of one act. */
export interface ActTerms {
  /** The name of the resource that is overloaded, for the records of those who are closed. */
  resource: string;
  /** Whose connections "shed" takes first. */
  sheds: Resource["sheds"];
  /** The most links that "shed" takes. */
  mostShed: number;
  /** So many bytes are too many; Infinity if that is not known. */
  bytes: number;
  /** So many connections are too many; Infinity if that is not known. */
  connections: number;
  /** Nothing is touched: the answer is what would be done. */
  dryRun: boolean;
}

/** What an act has freed. */
export interface Released {
  /**
   * The ids of links that were closed, shed or ended, or that lost messages which their clients send again. Of a server
   * that has no links, the remote addresses of connections.
   */
  victims: readonly string[];
  connections: number;
  sessions: number;
  /** Memory of messages. */
  bytes: number;
  /** The part of it that was taken out of the memory that all links share. */
  sharedBytes: number;
}

export interface Relief {
  /** How many links there are, or connections: "shed" takes a part of them. */
  readonly links: number;
  /** Brings a condition into force for that reason, or takes it back with "". */
  enforce(condition: OverloadAction, why: string): void;
  /** The action would find nothing to do now. */
  isIdle(action: OverloadAction): boolean;
  /** Carries out an act. */
  carryOut(act: OverloadAction, terms: ActTerms): Released;
}

export const NOTHING: Readonly<Released> = { victims: [], connections: 0, sessions: 0, bytes: 0, sharedBytes: 0 };

/** One act closes at most this part of the connections, or of the handshakes, or ends this part of the sessions. */
const STEP_PART = 0.05;
/** Connections that nobody is waiting for may be closed in such a number however few there are. */
export const LEAST_CLOSED = 10;

/** The most that one act takes of so many. */
export function atMost(total: number, least: number): number {
  return Math.max(least, Math.ceil(STEP_PART * total));
}
