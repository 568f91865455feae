/** Begins to listen at a place, or says why that cannot be, with what to do about it. */
import type { Server } from "node:net";
import { folderTrouble } from "../../io/unix-socket.ts";
import { RespliceError } from "../../link/errors.ts";
import { type Place, placeText } from "./places.ts";

type Kind = "port" | "path" | "fd";

const NONE_LEFT = "no file descriptor is left";

/** By the code of the system's error; a word for all kinds of places, or one for each. */
const ADVICE: Readonly<Record<string, string | Readonly<Partial<Record<Kind, string>>>>> = {
  EADDRINUSE: "another process listens there, or another server of this one: stop it, or choose another",
  EACCES: {
    port: "not permitted: choose a port above 1023, or give the process CAP_NET_BIND_SERVICE",
    path: "this user may not write into its folder",
    fd: "not permitted",
  },
  EPERM: "not permitted: a security policy of the system forbids it",
  EADDRNOTAVAIL: "this machine has no such address: check the option host",
  EAFNOSUPPORT: "this machine does not have that family of addresses: is IPv6 off?",
  EMFILE: `${NONE_LEFT} in this process: raise ulimit -n, or lower its limits`,
  ENFILE: `${NONE_LEFT} on this machine: raise fs.file-max`,
  EINVAL: {
    port: "the system does not take this address: an IPv6 address of a link needs its zone, as in fe80::1%eth0",
    path: "the system does not take this path",
    fd: "it is no socket that is bound and could listen",
  },
  EBADF: "it is not open",
  ENOTSOCK: "it is no socket",
  ENOENT: { port: "no such host" },
  ENOTDIR: "a part of the path is no folder",
  EROFS: "the file system is read-only",
  ENAMETOOLONG: "the path is too long",
  ENOTFOUND: "the name of the host is not known: check the option host",
  EAI_AGAIN: "the name of the host could not be looked up now",
  ENOTSUP: "the system does not support it: leave reusePort out",
  ENOPROTOOPT: "the system does not support it: leave reusePort out",
};

export function listenError(error: NodeJS.ErrnoException, place: Place): RespliceError {
  return listenFailed(place, advice(error, place), error);
}

export function listenFailed(place: Place, why: string, cause?: unknown): RespliceError {
  const message = `cannot listen on ${placeText(place)}: ${why}`;
  return new RespliceError("LISTEN_FAILED", message, cause === undefined ? {} : { cause });
}

/** It was stopped before it listened. */
export function stopped(): RespliceError {
  return new RespliceError("INVALID_STATE", "closed before it listened");
}

function advice({ code = "", message }: NodeJS.ErrnoException, place: Place): string {
  // Node says EACCES of a folder that does not exist, too.
  const trouble = "path" in place && (code === "EACCES" || code === "ENOENT") ? folderTrouble(place.path) : undefined;
  if (trouble !== undefined) return trouble;
  const found = ADVICE[code];
  const kind = "path" in place ? "path" : "fd" in place ? "fd" : "port";
  return (typeof found === "object" ? found[kind] : found) ?? message;
}

/** Resolves when the server listens. Rejects LISTEN_FAILED; INVALID_STATE if it is closed meanwhile. */
export function listening(server: Server, place: Place): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, place));
  // Also while a name is looked up: Node does not listen then when the lookup has ended.
  const onClose = (): void => reject(stopped());
  server.once("error", onError);
  server.once("close", onClose);
  server.listen(place, () => {
    server.off("error", onError);
    server.off("close", onClose);
    resolve();
  });
  return promise;
}
