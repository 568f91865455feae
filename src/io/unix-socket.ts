/** The files of Unix sockets: who listens at one, and whether the path of one is short enough. */
import type { Stats } from "node:fs";
import { lstat } from "node:fs/promises";
import { connect } from "node:net";

/** The most bytes of a Unix socket's path: the kernel's `sun_path`, less its final NUL. */
export const MOST_SOCKET_PATH_BYTES: number = process.platform === "linux" ? 107 : 103;
/** A process that is alive takes a connection at once: its kernel does so. */
const ANSWERS_WITHIN_MS = 1_000;

/** Nobody listens at the path: the process that has made the socket is gone. What cannot be told is not dead. */
export function isDeadSocket(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (dead: boolean): void => {
      socket.destroy();
      resolve(dead);
    };
    socket.setTimeout(ANSWERS_WITHIN_MS, () => settle(false));
    socket.on("connect", () => settle(false));
    socket.on("error", (error: NodeJS.ErrnoException) => settle(error.code === "ECONNREFUSED"));
  });
}

/** Undefined: there is no such file, or it cannot be looked at. */
export function fileAt(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(() => undefined);
}
