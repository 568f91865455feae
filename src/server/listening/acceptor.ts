/** One place at which a server listens. */
import net from "node:net";
import { RespliceError } from "../../link/errors.ts";
import { listenError } from "./listen-error.ts";
import type { BoundAddress, Place } from "./places.ts";
import { makeWay, setMode } from "./socket-file.ts";

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
  #isStopped = false;

  constructor(place: Place, host: AcceptorHost) {
    this.#place = place;
    this.#host = host;
    this.#server = net.createServer(host.sockets, (socket) => host.onSocket(socket));
  }

  /** Rejects LISTEN_FAILED; INVALID_STATE if it is stopped meanwhile. */
  async listen(): Promise<BoundAddress> {
    const place = this.#place;
    if ("path" in place) await makeWay(place);
    if (this.#isStopped) throw stopped();
    const server = this.#server;
    await listening(server, place);
    if ("path" in place) setMode(place);
    server.on("error", (error) => this.#host.onLost(error));
    return boundAddress(server);
  }

  stop(): void {
    this.#isStopped = true;
    this.#server.close();
  }
}

function listening(server: net.Server, place: Place): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, place));
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

function stopped(): RespliceError {
  return new RespliceError("INVALID_STATE", "closed before it listened");
}

function boundAddress(server: net.Server): BoundAddress {
  const address = server.address();
  if (typeof address === "object" && address !== null) return { host: address.address, port: address.port };
  return { host: address ?? "", port: 0 };
}
