/**
 * The overload actions that a server carries out when it is told to. Each is named as the action that it stands for.
 */

/** The bounds of one act. */
export interface ActOptions {
  /** How many connections it may close, or ask to leave. */
  most: number;
  /** Only answers which connections these would be. */
  dryRun: boolean;
}

export interface Released {
  /** The remote address of each connection that is closed, or asked to leave; "" where it has none. */
  victims: readonly string[];
  /** Bytes that waited to be written to them. */
  bytes: number;
}

export interface Relief {
  /** "refuse-sessions": new connections are refused, until it is taken back with false. */
  refuseSessions(isInForce: boolean): void;
  /** "close-hopeless": connections with bytes to write, of which the peer has taken none for `writeStallMs`. */
  closeHopeless(options: ActOptions): Released;
  /** "drop-lingering": refused connections that have still to read why. */
  dropLingering(options: ActOptions): Released;
  /** "shed": connections that cost their clients least, then those with most bytes to write. */
  shed(options: ActOptions): Released;
}
