/**
 * The file of a Unix socket that a server listens at. A process that is killed leaves it behind, and nobody could
 * listen there until it is removed.
 */
import { chmodSync, linkSync, lstatSync, renameSync, unlinkSync } from "node:fs";
import type { Server } from "node:net";
import { fileAt, MOST_SOCKET_PATH_BYTES, whoListens } from "../../io/unix-socket.ts";
import { listenFailed } from "./listen-error.ts";
import type { PathAddress } from "./places.ts";

/**
 * Removes the socket of a process that is gone. A file that is no socket, and a socket at which somebody listens, stay.
 * Rejects LISTEN_FAILED where the path is too long or taken, or where the socket cannot be removed.
 */
export async function makeWay(place: PathAddress): Promise<void> {
  const { path } = place;
  if (!isFile(path)) return;
  const bytes = Buffer.byteLength(path);
  if (bytes > MOST_SOCKET_PATH_BYTES)
    throw listenFailed(place, `its path has ${bytes} bytes, and a socket's has at most ${MOST_SOCKET_PATH_BYTES}`);
  const file = new SocketFile(path);
  const found = await fileAt(path);
  if (found === undefined) return;
  if (!found.isSocket()) throw listenFailed(place, "a file that is no socket is there, and is left alone");
  const who = await whoListens(path);
  // Another server may have put a socket of its own there meanwhile.
  if (file.problem !== undefined) return;
  if (who === "forbidden")
    throw listenFailed(
      place,
      "a socket is there, and this user may not connect to it: it may be in use or left behind",
    );
  if (who === "nobody") removeDead(place);
}

function removeDead(place: PathAddress): void {
  try {
    unlinkSync(place.path);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    const stale = "the socket there was left behind by a process that is gone";
    throw listenFailed(place, `${stale}, and this process cannot remove it (${code}): remove it`, error);
  }
}

/** The file that a server has made by binding. Another may be put in its place while the server listens. */
export class SocketFile {
  readonly #path: string;
  readonly #id: string | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#id = idAt(path);
  }

  /** Why no client comes to the server by it. Undefined: they do, as far as can be told. */
  get problem(): string | undefined {
    const id = idAt(this.#path);
    if (id === GONE) return "the file of its socket is gone";
    return this.#isOther(id) ? "another file is in the place of its socket" : undefined;
  }

  #isOther(id: string | undefined): boolean {
    return id !== undefined && this.#id !== undefined && id !== GONE && id !== this.#id;
  }

  /** Node removes whatever file has the path when it closes the server. One of another server stays. */
  close(server: Server): void {
    if (!this.#isOther(idAt(this.#path))) return void server.close();
    const aside = `${this.#path}.${process.pid}`;
    attempt(() => linkSync(this.#path, aside));
    server.close();
    attempt(() => renameSync(aside, this.#path));
  }
}

const GONE = "";

/** Tells the files apart that have been there. Undefined: there is none by design, or it cannot be looked at. */
function idAt(path: string): string | undefined {
  if (!isFile(path)) return undefined;
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    // Its number may have been that of another file before.
    return found === undefined ? GONE : `${found.dev}:${found.ino}:${found.mtimeMs}`;
  } catch {
    return undefined;
  }
}

/** Where the folder does not permit it, binding the path says what is wrong, or Node cannot remove the file either. */
function attempt(run: () => void): void {
  try {
    run();
  } catch {
    // As said.
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
