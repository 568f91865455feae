/** The errors of a link as those of a socket, for libraries that look at the codes that TCP has. */
import { type ErrorCode, RespliceError } from "./errors.ts";

/** An error of the operating system, as Node makes them, but for `errno`: no call of the system has failed. */
export interface SocketError extends Error {
  code: "ECONNRESET" | "EPIPE" | "ETIMEDOUT";
  syscall: "read" | "write" | "connect";
}

type Told = Pick<SocketError, "code" | "syscall">;
const RESET: Told = { code: "ECONNRESET", syscall: "read" };

/** How a link ended of which the peer, or its process, knows no more. The other ends of a link have no code in TCP. */
const ENDS: Readonly<Partial<Record<ErrorCode, Told>>> = {
  PEER_ABORTED: RESET,
  SESSION_LOST: RESET,
  SESSION_EXPIRED: RESET,
  GAVE_UP: { code: "ETIMEDOUT", syscall: "connect" },
};

/** The error with the code of a socket, and `error` as its cause; `error` itself where TCP has no such code. */
export function socketError(error: Error): Error {
  if (!(error instanceof RespliceError)) return error;
  const told = toldAs(error);
  if (told === undefined) return error;
  return Object.assign(new Error(`${told.syscall} ${told.code}: ${error.message}`, { cause: error }), told);
}

function toldAs({ code, cause }: RespliceError): Told | undefined {
  if (code !== "LINK_ENDED") return ENDS[code];
  // What was written after the end of the link has the error that ended it as its cause.
  if (cause instanceof RespliceError) return ENDS[cause.code];
  return { code: "EPIPE", syscall: "write" };
}
