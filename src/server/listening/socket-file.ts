/**
 * The file of a Unix socket that a server listens at. A process that is killed leaves it behind, and nobody could
 * listen there until it is removed.
 */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { fileAt, isDeadSocket, MOST_SOCKET_PATH_BYTES } from "../../io/unix-socket.ts";
import { listenFailed } from "./listen-error.ts";
import type { PathAddress } from "./places.ts";

/**
 * Removes the socket of a process that is gone. A file that is no socket, and a socket at which somebody listens, stay.
 * Rejects LISTEN_FAILED where the path is too long or taken.
 */
export async function makeWay(place: PathAddress): Promise<void> {
  const { path } = place;
  if (!isFile(path)) return;
  const bytes = Buffer.byteLength(path);
  if (bytes > MOST_SOCKET_PATH_BYTES)
    throw listenFailed(place, `its path has ${bytes} bytes, and a socket's has at most ${MOST_SOCKET_PATH_BYTES}`);
  const found = await fileAt(path);
  if (found === undefined) return;
  if (!found.isSocket()) throw listenFailed(place, "a file that is no socket is there, and is left alone");
  // Not one that another server has put there meanwhile.
  if (await isDeadSocket(path)) removeIfSame(path, found);
}

/** Nothing can come in between, in this process. */
function removeIfSame(path: string, { ino, mtimeMs }: { ino: number; mtimeMs: number }): void {
  try {
    const now = lstatSync(path);
    if (now.ino === ino && now.mtimeMs === mtimeMs) unlinkSync(path);
  } catch {
    // Binding it will say what is wrong.
  }
}

/** Sets the permissions of a socket that was bound this moment. Throws LISTEN_FAILED. */
export function setMode(place: PathAddress): void {
  const { path, mode } = place;
  if (mode === undefined || !isFile(path)) return;
  try {
    chmodSync(path, mode);
  } catch (error) {
    throw listenFailed(place, `its mode cannot be set: ${(error as Error).message}`, error);
  }
}

/** Not an abstract socket of Linux, nor a pipe of Windows. */
function isFile(path: string): boolean {
  return !path.startsWith("\0") && process.platform !== "win32";
}
