/**
 * The folder in which the servers of one machine find each other: each listens on a Unix socket there that has the name
 * of its id. Whoever can write into the folder could take connections over, so nobody else may.
 */
import { lstat, mkdir, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { fileAt, whoListens } from "../../io/unix-socket.ts";
import { RespliceError } from "../../link/errors.ts";

const SOCKET_NAME = /^[0-9a-f]{12}\.sock$/;
/** A server that has made its socket this moment may not listen yet. */
const YOUNG_MS = 10_000;
/** Sockets of dead servers that are looked at, one after the other, before a server listens. */
const MOST_STALE = 1_000;

export function socketPath(dir: string, serverId: string): string {
  return join(dir, `${serverId}.sock`);
}

/** Makes the folder if it is absent. Rejects LISTEN_FAILED if others than this user could use it. */
export async function prepareFolder(dir: string): Promise<void> {
  const userId = process.geteuid?.();
  if (userId === undefined) throw refused(dir, "this system has no Unix sockets that only one user can use");
  try {
    await mkdir(dir, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    const stats = await lstat(dir);
    if (stats.isSymbolicLink()) throw refused(dir, "it is a symbolic link: name the folder itself");
    if (!stats.isDirectory()) throw refused(dir, "it is no folder");
    if (stats.uid !== userId) throw refused(dir, `it belongs to user ${stats.uid}, and this process to user ${userId}`);
    const mode = stats.mode & 0o777;
    if (mode !== 0o700) throw refused(dir, `its mode is 0${mode.toString(8)}: chmod it to 0700`);
  } catch (error) {
    throw error instanceof RespliceError ? error : refused(dir, (error as Error).message, error);
  }
}

/**
 * Removes the sockets of servers that have died. Who listens is asked first; a file that cannot be removed stays, and
 * does no harm.
 */
export async function removeStale(dir: string, nowMs: number): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  for (const name of names.filter((each) => SOCKET_NAME.test(each)).slice(0, MOST_STALE)) {
    const path = join(dir, name);
    const stats = await fileAt(path);
    if (stats === undefined || !stats.isSocket() || nowMs - stats.mtimeMs < YOUNG_MS) continue;
    if ((await whoListens(path)) === "nobody") await unlink(path).catch(() => {});
  }
}

function refused(dir: string, why: string, cause?: unknown): RespliceError {
  return new RespliceError(
    "LISTEN_FAILED",
    `forward.dir ${dir} cannot be used: ${why}`,
    cause === undefined ? {} : { cause },
  );
}
