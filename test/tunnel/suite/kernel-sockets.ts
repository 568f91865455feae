/** What the kernel knows of the sockets of a port, without asking who listens there. */
import { existsSync, readFileSync } from "node:fs";

/** States as /proc/net/tcp has them. */
const LISTEN = "0A";
const TIME_WAIT = "06";

export function isListening(port: number): boolean {
  return socketsOf(port).some(({ isLocal, state }) => isLocal && state === LISTEN);
}

/** How many sockets are a connection to this port, at either end. In TIME_WAIT they are nobody's. */
export function connectionsOf(port: number): number {
  return socketsOf(port).filter(({ state }) => state !== LISTEN && state !== TIME_WAIT).length;
}

function socketsOf(port: number): Array<{ isLocal: boolean; state: string }> {
  const place = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  // A kernel without IPv6 has one of them.
  const files = ["/proc/net/tcp", "/proc/net/tcp6"].filter((file) => existsSync(file));
  const lines = files.flatMap((file) => readFileSync(file, "utf8").split("\n").slice(1));
  const sockets = lines.map((line) => line.trim().split(/\s+/u));
  return sockets
    .filter(([, local = "", remote = ""]) => local.endsWith(place) || remote.endsWith(place))
    .map(([, local = "", , state = ""]) => ({ isLocal: local.endsWith(place), state }));
}
