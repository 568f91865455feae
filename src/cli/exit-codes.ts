/** The command's exit codes, for scripts; --help lists them too. */
export const EXIT = {
  /** All was accepted in both directions. */
  ok: 0,
  /** Something was lost, or may be lost, or the link failed. */
  failed: 1,
  usage: 2,
  /** The reader of our output has gone: 128 + SIGPIPE, as in shells. */
  brokenPipe: 141,
  /** Interrupted, and everything that had been read was delivered: 128 + the signal. */
  hungUp: 129,
  interrupted: 130,
  terminated: 143,
} as const;
