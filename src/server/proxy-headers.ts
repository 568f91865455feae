/** Accepted sockets whose PROXY header is awaited: the balancers that are trusted begin each connection with one. */
import type { Socket } from "node:net";
import { type AddressList, unmapped } from "../io/address-list.ts";
import { remoteAddressOf } from "../io/remote-address.ts";
import { type ProxiedEnds, readProxyHeader } from "../io/proxy-protocol.ts";
import { FirstBytes, type FirstBytesOptions, type Said } from "./first-bytes.ts";

/** `withinMs`: to the end of the header. The owner of a socket is its own address, the balancer's. */
export interface ProxyHeadersOptions extends Omit<FirstBytesOptions<Header>, "what" | "read"> {
  /** The balancers that are believed in what they say of clients' addresses. */
  trusted: AddressList;
}

interface Header extends ProxiedEnds {
  length: number;
}

/**
 * Called with the client's address, and with all that the header says, when everything that has come behind the header
 * can be read.
 */
type Then = (remoteAddress: string, ends: ProxiedEnds) => void;

export class ProxyHeaders {
  readonly #options: ProxyHeadersOptions;
  readonly #awaited: FirstBytes<Header>;

  constructor(options: ProxyHeadersOptions) {
    this.#options = options;
    this.#awaited = new FirstBytes({ ...options, what: "header", read: headerIn });
  }

  get size(): number {
    return this.#awaited.size;
  }

  setMost(most: number): void {
    this.#awaited.setMost(most);
  }

  /**
   * Reads the header of a socket that nobody has read yet. `then` is called later, and not at all for a socket that is
   * closed. Until then an 'error' of the socket does no harm.
   */
  read(socket: Socket, then: Then): void {
    const address = remoteAddressOf(socket);
    const { trusted, onWrong } = this.#options;
    if (trusted.has(address) !== true) return onWrong(socket, address, "not from a trusted network");
    this.#awaited.await(socket, address, ({ length, ...ends }, bytes) => {
      if (bytes.length > length) socket.unshift(bytes.subarray(length));
      then(ends.source === undefined ? address : unmapped(ends.source), ends);
    });
  }

  destroyAll(): void {
    this.#awaited.destroyAll();
  }
}

function headerIn(bytes: Buffer): Said<Header> {
  const header = readProxyHeader(bytes);
  if (header.state !== "complete") return header;
  return { state: "complete", value: header };
}
