/** Which of several workers gets a connection: the one whose server it names, else each in turn. */

/** A server of a worker. */
interface Route<W> {
  readonly serverId: string;
  readonly worker: W;
  /** It opens no sessions any more, and gets only connections that name it. */
  isDraining: boolean;
}

export class Routes<W> {
  /** The one whose turn it is comes first. */
  readonly #routes = new Map<string, Route<W>>();

  /** Servers that open sessions. */
  get open(): number {
    return this.#openRoutes().length;
  }

  add(serverId: string, worker: W): void {
    this.#routes.set(serverId, { serverId, worker, isDraining: false });
  }

  /** Only the worker itself speaks for its server. */
  drain(serverId: string, worker: W): void {
    const route = this.#routes.get(serverId);
    if (route?.worker === worker) route.isDraining = true;
  }

  remove(serverId: string, worker: W): void {
    if (this.#routes.get(serverId)?.worker === worker) this.#routes.delete(serverId);
  }

  /** The worker has ended, with all of its servers. */
  gone(worker: W): void {
    for (const route of this.#routes.values()) if (route.worker === worker) this.#routes.delete(route.serverId);
  }

  /**
   * A server that is not here any more has lost its sessions: whoever else gets such a connection answers so. "busy": those
   * that could take it have no room. "nobody": there is none.
   */
  pick(named: string | undefined, hasRoom: (worker: W) => boolean): Readonly<Route<W>> | "busy" | "nobody" {
    const own = named === undefined ? undefined : this.#routes.get(named);
    if (own !== undefined) return hasRoom(own.worker) ? own : "busy";
    const open = this.#openRoutes();
    const next = open.find(({ worker }) => hasRoom(worker));
    if (next === undefined) return open.length > 0 ? "busy" : "nobody";
    this.#routes.delete(next.serverId);
    this.#routes.set(next.serverId, next);
    return next;
  }

  #openRoutes(): Route<W>[] {
    return [...this.#routes.values()].filter(({ isDraining }) => !isDraining);
  }
}
