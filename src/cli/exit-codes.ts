/** How the command ends, for scripts. In --help too. */
export const EXIT = {
  /** All was accepted, both ways. */
  ok: 0,
  /** Something was lost or may be, or the link failed. */
  failed: 1,
  usage: 2,
  /** What reads our output is gone: 128 + SIGPIPE, as shells have it. */
  brokenPipe: 141,
  /** Interrupted, and all that had been read was delivered: 128 + the signal. */
  interrupted: 130,
  terminated: 143,
} as const;
