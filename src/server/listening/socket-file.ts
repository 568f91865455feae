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
  if (await isDeadSocket(path)) removeIfSame(place, found);
}

/** Which file is at a path: its number may have been another's before. */
export interface FileIdentity {
  ino: number;
  mtimeMs: number;
}

/** The file of a socket that was bound this moment. Undefined: it has none. */
export function fileOf({ path }: PathAddress): FileIdentity | undefined {
  return isFile(path) ? lstatSync(path, { throwIfNoEntry: false }) : undefined;
}

/** Whether another file is in its place: that of another server, which was started after this one's was removed. */
export function isReplaced({ path }: PathAddress, { ino, mtimeMs }: FileIdentity): boolean {
  try {
    const now = lstatSync(path);
    return now.ino !== ino || now.mtimeMs !== mtimeMs;
  } catch {
    return false;
  }
}

/** Nothing can come in between, in this process. */
function removeIfSame(place: PathAddress, file: FileIdentity): void {
  try {
    if (!isReplaced(place, file)) unlinkSync(place.path);
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
