/** One place at which a server listens. */
import net from "node:net";
import { RespliceError } from "../../link/errors.ts";
import { listenError } from "./listen-error.ts";
import type { BoundAddress, Place } from "./places.ts";

export interface AcceptorHost {
  /** Options of the sockets, as net.createServer() has them. */
  readonly sockets: net.ServerOpts;
  onSocket(socket: net.Socket): void;
  /** The place is not listened at any more. */
  onLost(error: Error): void;
}

export class Acceptor {
  readonly #place: Place;
  readonly #host: AcceptorHost;
  readonly #server: net.Server;

  constructor(place: Place, host: AcceptorHost) {
    this.#place = place;
    this.#host = host;
    this.#server = net.createServer(host.sockets, (socket) => host.onSocket(socket));
  }

  /** Rejects LISTEN_FAILED; INVALID_STATE if it is stopped meanwhile. */
  listen(): Promise<BoundAddress> {
    const { promise, resolve, reject } = Promise.withResolvers<BoundAddress>();
    const server = this.#server;
    const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, this.#place));
    server.once("error", onError);
    server.once("close", () => reject(new RespliceError("INVALID_STATE", "closed before it listened")));
    server.listen(this.#place, () => {
      server.off("error", onError);
      server.on("error", (error) => this.#host.onLost(error));
      resolve(boundAddress(server));
    });
    return promise;
  }

  stop(): void {
    this.#server.close();
  }
}

function boundAddress(server: net.Server): BoundAddress {
  const address = server.address();
  if (typeof address === "object" && address !== null) return { host: address.address, port: address.port };
  return { host: address ?? "", port: 0 };
}
