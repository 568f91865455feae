/** The sockets that systemd has opened for a process, as sd_listen_fds(3) describes. */
import { RespliceError } from "../../link/errors.ts";

/** The first of them: those before are the standard streams. */
const FIRST_FD = 3;
/** More than these are a mistake: no service has so many sockets. */
const MOST_FDS = 1_024;
const NAMES = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] as const;

export interface Activation {
  env: Record<string, string | undefined>;
  pid: number;
}

/**
 * A process is told of its sockets once, by the environment. The variables are removed when they have been read, so
 * that no child takes them for its own, and each socket is given out once. Node does not let children inherit the
 * descriptors.
 */
export class ActivatedSockets {
  readonly #of: Activation;
  /** The sockets that nobody has taken, or why there are none. */
  #sockets: Array<{ fd: number; name: string }> | string | undefined;

  constructor(of: Activation) {
    this.#of = of;
  }

  /**
   * For each name the descriptors of the sockets that have it; for `true`, of all that are left. Throws LISTEN_FAILED if
   * there are none for one of them, and then none is taken.
   */
  take(...names: ReadonlyArray<true | string>): number[][] {
    if (names.length === 0) return [];
    this.#sockets ??= read(this.#of);
    if (typeof this.#sockets === "string") throw none(this.#sockets);
    let left = this.#sockets;
    const descriptors = names.map((name) => {
      const taken = left.filter((socket) => name === true || socket.name === name);
      if (taken.length === 0) throw none(missing(name, left));
      left = left.filter((socket) => !taken.includes(socket));
      return taken.map(({ fd }) => fd);
    });
    this.#sockets = left;
    return descriptors;
  }
}

/** Those of this process. */
export const ACTIVATED_SOCKETS: ActivatedSockets = new ActivatedSockets({ env: process.env, pid: process.pid });

function read({ env, pid }: Activation): Array<{ fd: number; name: string }> | string {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = "" } = env;
  if (LISTEN_FDS === undefined || LISTEN_PID === undefined)
    return "LISTEN_FDS and LISTEN_PID are not set: start the service by its .socket unit";
  if (LISTEN_PID !== String(pid))
    return `they are for process ${LISTEN_PID}, and this is ${pid}: start node itself, not by a shell or npm`;
  for (const name of NAMES) Reflect.deleteProperty(env, name);
  const number = /^[1-9]\d*$/.test(LISTEN_FDS) ? Number(LISTEN_FDS) : 0;
  if (number === 0 || number > MOST_FDS) return `LISTEN_FDS is ${LISTEN_FDS}`;
  const names = LISTEN_FDNAMES.split(":");
  return Array.from({ length: number }, (_, n) => ({ fd: FIRST_FD + n, name: names[n] || "unknown" }));
}

function none(why: string): RespliceError {
  return new RespliceError("LISTEN_FAILED", `systemd has given this process no such sockets: ${why}`);
}

function missing(name: true | string, left: ReadonlyArray<{ name: string }>): string {
  const others = left.length === 0 ? "none is left" : `there are: ${left.map((socket) => socket.name).join(", ")}`;
  return name === true ? others : `none of its sockets is named ${name}; ${others}`;
}
