/** The files of Unix sockets: who listens at one, why nobody can be reached by it, and how long its path may be. */
import { existsSync, type Stats } from "node:fs";
import { lstat } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";

/** The most bytes of a Unix socket's path: the kernel's `sun_path`, less its final NUL. */
export const MOST_SOCKET_PATH_BYTES: number = process.platform === "linux" ? 107 : 103;
/** A process that is alive takes a connection at once: its kernel does so. */
const ANSWERS_WITHIN_MS = 1_000;

/**
 * Whether a process listens at a socket's path. `nobody`: the process that has made the socket is gone. `forbidden`: that
 * cannot be found out, as this user may not connect. `untold`: nor can it for another reason.
 */
export type WhoListens = "somebody" | "nobody" | "forbidden" | "untold";

export function whoListens(path: string): Promise<WhoListens> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (who: WhoListens): void => {
      socket.destroy();
      resolve(who);
    };
    socket.setTimeout(ANSWERS_WITHIN_MS, () => settle("somebody"));
    socket.on("connect", () => settle("somebody"));
    socket.on("error", ({ code = "" }: NodeJS.ErrnoException) => settle(ERRORS[code] ?? "untold"));
  });
}

/** EAGAIN: somebody listens, and accepts nobody now. */
const ERRORS: Readonly<Record<string, WhoListens>> = {
  ECONNREFUSED: "nobody",
  EAGAIN: "somebody",
  EACCES: "forbidden",
  EPERM: "forbidden",
};

/** What the system's error says of a dial to a socket's path, in words. Undefined: nothing more than its code. */
export function pathTrouble(code: string | undefined, path: string): string | undefined {
  switch (code) {
    case "ENOENT":
      return folderTrouble(path) ?? "nobody listens there: there is no such socket";
    case "ECONNREFUSED":
      return "nobody listens there: the socket was left behind by a process that is gone";
    case "ENOTSOCK":
      return "it is no socket";
    case "EACCES":
      return "this user may not connect there";
    default:
      return undefined;
  }
}

/** Undefined: the folder of the path is there. */
export function folderTrouble(path: string): string | undefined {
  const folder = dirname(path);
  return existsSync(folder) ? undefined : `its folder does not exist: ${folder}`;
}

/** Undefined: there is no such file, or it cannot be looked at. */
export function fileAt(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(() => undefined);
}
