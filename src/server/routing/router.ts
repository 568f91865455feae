/** routeConnections(): hands each connection to the worker of node:cluster that has its session. */
import cluster from "node:cluster";
import { createServer, type Server, type Socket } from "node:net";
import { namedServer } from "../../core/server/named-server.ts";
import { Routes } from "../../core/server/routes.ts";
import { encodeRefuse } from "../../core/wire/frames.ts";
import { SystemClock } from "../../io/clock.ts";
import { ignoreError, StreamConnection } from "../../io/connection.ts";
import { remoteAddressOf } from "../../io/remote-address.ts";
import { RespliceError } from "../../link/errors.ts";
import { Once } from "../../link/waits.ts";
import { FirstBytes, type Said } from "../first-bytes.ts";
import { Lingering, MOST_LINGERING } from "../lingering.ts";
import { listening } from "../listening/listen-error.ts";
import { peerOf } from "../peer.ts";
import { isToRouter, type ToRouter, type ToServer } from "./messages.ts";
import { resolveRoute, type ResolvedRoute, type RouteOptions } from "./options.ts";

/** Connections on their way to one worker: each has what its client has said so far. */
const MOST_HANDING = 256;
/** A client says no more than its HELLO before it is answered. */
const MOST_BYTES = 24_576;
/** A client that is refused comes back after this, or up to twice as much. */
const COME_BACK_MS = 500;

/** The numbers of a router. */
export interface RouterStats {
  /** Servers of workers that open sessions. */
  servers: number;
  /** Connections whose first bytes are awaited, now. */
  waiting: number;
  /** Connections on their way to workers, now. */
  handing: number;
  /** Connections that workers were given, since the beginning. */
  handed: number;
  /** Clients that were told to come back later: there was no worker, or none that had room; or too many were waiting. */
  refused: number;
  /** Connections that were closed: they had not said enough in their time, or had ended within it. */
  rejected: number;
}

/** node:cluster, in the primary process. */
export interface Workers {
  readonly isPrimary: boolean;
  readonly workers?: NodeJS.Dict<WorkerChannel>;
  on(event: "message", listener: (worker: WorkerChannel, message: unknown) => void): unknown;
  on(event: "disconnect" | "exit", listener: (worker: WorkerChannel) => void): unknown;
  off(event: "message", listener: (worker: WorkerChannel, message: unknown) => void): unknown;
  off(event: "disconnect" | "exit", listener: (worker: WorkerChannel) => void): unknown;
}

export interface WorkerChannel {
  send(message: ToServer, socket: Socket | undefined, options: undefined, done: (error: Error | null) => void): unknown;
}

type Named = Exclude<ReturnType<typeof namedServer>, "incomplete">;

/**
 * For the primary process of node:cluster: listens on the port, and hands each connection to a worker whose
 * ServerSupervisor has the same `port`, and `routed`. A client that comes back goes to the worker that has its session,
 * all others to each in turn. Resolves when it listens. Without TLS and PROXY headers: with these use `forward`. Rejects
 * INVALID_OPTION; INVALID_STATE in another process than the primary; LISTEN_FAILED.
 *
 * @example
 * ```ts
 * const router = await routeConnections({ port: 7000 });
 * console.log(router.stats().servers);
 * ```
 */
export async function routeConnections(options: RouteOptions): Promise<ConnectionRouter> {
  const resolved = resolveRoute(options);
  if (!cluster.isPrimary)
    throw new RespliceError("INVALID_STATE", "routeConnections() is for the primary process of node:cluster");
  const router = new ConnectionRouter(resolved, cluster);
  await router.listen();
  return router;
}

/** What routeConnections() answers. */
export class ConnectionRouter implements AsyncDisposable {
  readonly #options: ResolvedRoute;
  readonly #workers: Workers;
  readonly #clock = new SystemClock();
  readonly #server: Server;
  readonly #routes = new Routes<WorkerChannel>();
  readonly #awaited: FirstBytes<Named>;
  readonly #lingering: Lingering;
  /** Sockets of this process: a worker has no part in them yet. */
  readonly #sockets = new Set<Socket>();
  /** Connections on their way to each worker. */
  readonly #handing = new Map<WorkerChannel, Set<Socket>>();
  readonly #closing: Once<void> = new Once();
  #address: { host: string; port: number } | undefined;
  #handed = 0;
  #refused = 0;
  #rejected = 0;

  /** @internal routeConnections() makes it */
  constructor(options: ResolvedRoute, workers: Workers) {
    this.#options = options;
    this.#workers = workers;
    this.#lingering = new Lingering({ clock: this.#clock, mayLinger: () => this.#lingering.size < MOST_LINGERING });
    this.#awaited = new FirstBytes({
      what: "beginning",
      read: said,
      withinMs: options.handshakeMs,
      most: options.waiting,
      clock: this.#clock,
      onWrong: (socket) => {
        this.#rejected++;
        socket.resetAndDestroy();
      },
      onCrowdedOut: (socket) => this.#refuse(socket),
    });
    // A peer that talks on while its socket is handed over would lose what this process still reads of it. With such a mark
    // a chunk that was read stops the reading, and taking it does not begin it again.
    this.#server = createServer({ highWaterMark: 0, noDelay: true }, (socket) => this.#onSocket(socket));
    workers.on("message", this.#onMessage);
    workers.on("disconnect", this.#onGone);
    workers.on("exit", this.#onGone);
  }

  /** @internal */
  async listen(): Promise<void> {
    const { port, host } = this.#options;
    const where = host === undefined ? { port } : { port, host };
    try {
      await listening(this.#server, where);
    } catch (error) {
      await this.close();
      throw error;
    }
    // Errors of a server that listens are about single connections.
    this.#server.on("error", () => {});
    const address = this.#server.address();
    if (typeof address !== "object" || address === null)
      throw new RespliceError("INVALID_STATE", "the router is closed");
    this.#address = { host: address.address, port: address.port };
    for (const worker of Object.values(this.#workers.workers ?? {})) {
      if (worker !== undefined) this.#say(worker, { resplice: "to-server", say: "who", port });
    }
  }

  /** Where it listens. Undefined: it is closed. */
  get address(): { host: string; port: number } | undefined {
    return this.#address && { ...this.#address };
  }

  /** The numbers, as they are now. */
  stats(): RouterStats {
    let handing = 0;
    for (const sockets of this.#handing.values()) handing += sockets.size;
    const [handed, refused, rejected] = [this.#handed, this.#refused, this.#rejected];
    return { servers: this.#routes.open, waiting: this.#awaited.size, handing, handed, refused, rejected };
  }

  /** Resolves when the port is free. Connections that workers have go on. Never rejects. */
  close(): Promise<void> {
    return this.#closing.run(async () => {
      this.#address = undefined;
      this.#workers.off("message", this.#onMessage);
      this.#workers.off("disconnect", this.#onGone);
      this.#workers.off("exit", this.#onGone);
      // Its callback would wait for the connections that workers have.
      this.#server.close();
      this.#awaited.destroyAll();
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  /** close(): for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #onSocket(socket: Socket): void {
    this.#sockets.add(socket);
    // An 'error' without a listener would end the process.
    socket.on("error", ignoreError);
    socket.on("close", () => this.#sockets.delete(socket));
    this.#awaited.await(socket, peerOf(remoteAddressOf(socket)), (named, bytes) => this.#route(socket, named, bytes));
  }

  #route(socket: Socket, named: Named, bytes: Buffer): void {
    const route = this.#routes.pick(named === "anybody" ? undefined : named.serverId, (worker) =>
      this.#hasRoom(worker),
    );
    if (typeof route === "string") return this.#refuse(socket);
    this.#hand(socket, bytes, route);
  }

  #hasRoom(worker: WorkerChannel): boolean {
    return (this.#handing.get(worker)?.size ?? 0) < MOST_HANDING;
  }

  #hand(socket: Socket, bytes: Buffer, { serverId, worker }: { serverId: string; worker: WorkerChannel }): void {
    const handing = this.#handing.get(worker) ?? new Set();
    this.#handing.set(worker, handing);
    handing.add(socket);
    const message = { say: "connection", serverId, bytes: bytes.toString("base64") } as const;
    worker.send({ resplice: "to-server", ...message }, socket, undefined, (error) => {
      handing.delete(socket);
      if (error instanceof Error) return void socket.destroy();
      this.#sockets.delete(socket);
      this.#handed++;
    });
  }

  /** The client comes back later. */
  #refuse(socket: Socket): void {
    this.#refused++;
    const retryAfterMs = Math.round(COME_BACK_MS * (1 + Math.random()));
    this.#lingering.end(new StreamConnection(socket, true), [encodeRefuse("overloaded", retryAfterMs)]);
  }

  readonly #onMessage = (worker: WorkerChannel, message: unknown): void => {
    if (!isToRouter(message) || message.port !== this.#options.port) return;
    this.#onServer(worker, message);
  };

  #onServer(worker: WorkerChannel, { say, serverId }: ToRouter): void {
    switch (say) {
      case "here":
        if (this.#address === undefined) break;
        this.#routes.add(serverId, worker);
        this.#say(worker, { resplice: "to-server", say: "listening", serverId, ...this.#address });
        break;
      case "draining":
        this.#routes.drain(serverId, worker);
        break;
      case "leaving":
        this.#routes.remove(serverId, worker);
        // It comes behind the connections that are on their way.
        this.#say(worker, { resplice: "to-server", say: "left", serverId });
        break;
    }
  }

  #say(worker: WorkerChannel, message: ToServer): void {
    worker.send(message, undefined, undefined, () => {});
  }

  /** What was on its way to the worker is closed: the clients dial again at once. */
  readonly #onGone = (worker: WorkerChannel): void => {
    this.#routes.gone(worker);
    for (const socket of this.#handing.get(worker) ?? []) socket.destroy();
    this.#handing.delete(worker);
  };
}

function said(bytes: Buffer): Said<Named> {
  if (bytes.length > MOST_BYTES) return { state: "wrong", problem: "more than a HELLO" };
  const named = namedServer(bytes);
  return named === "incomplete" ? { state: "incomplete" } : { state: "complete", value: named };
}
