/**
 * Who a client of a near end is: its address and port, and where it has connected to. They are those of its socket, or
 * what a balancer in front says in a PROXY header.
 */
import type { Socket } from "node:net";
import { AddressList } from "../io/address-list.ts";
import { remoteAddressOf } from "../io/remote-address.ts";
import type { ProxiedEnds } from "../io/proxy-protocol.ts";
import type { Clock } from "../link/ports.ts";
import { ProxyHeaders } from "../server/proxy-headers.ts";
import type { Ends } from "./proxy-header.ts";
import { unusable } from "./target.ts";

/** Undefined: it has no address, as on a Unix socket; or the socket is closed. */
export function endsOf(socket: Socket): Ends | undefined {
  const { remotePort, localAddress, localPort } = socket;
  if (remotePort === undefined || localAddress === undefined || localPort === undefined) return undefined;
  return {
    source: { address: remoteAddressOf(socket), port: remotePort },
    destination: { address: localAddress, port: localPort },
  };
}

/** `entries`: addresses, networks, or `unix`. Throws INVALID_ARGUMENT, which names the entry. */
export function balancers(entries: readonly string[]): AddressList {
  const list = new AddressList();
  for (const entry of entries) {
    if (!list.add(entry)) throw unusable(entry, 'neither an address, a network such as 10.0.0.0/8, nor "unix"');
  }
  return list;
}

/** A balancer begins at once with the header. */
const HEADER_MS = 5_000;
const MOST_WAITING = 1_000;

/** Reads the headers of connections that come from balancers. */
export class ClientHeaders {
  readonly #headers: ProxyHeaders;

  /**
   * `trusted`: only these are believed. `onRefused`: a socket comes from elsewhere, has no header within 5 s, or had to
   * give way since more than 1,000 were waiting for theirs. It is to be reset.
   */
  constructor(trusted: AddressList, clock: Clock, onRefused: (socket: Socket, problem: string) => void) {
    this.#headers = new ProxyHeaders({
      trusted,
      withinMs: HEADER_MS,
      most: MOST_WAITING,
      clock,
      onWrong: (socket, _, problem) => onRefused(socket, problem),
      onCrowdedOut: (socket) => onRefused(socket, `more than ${MOST_WAITING} connections are waiting for their header`),
    });
  }

  /**
   * Reads the header of a socket that nobody has read yet. `then` is called later, and not at all for a socket that is
   * closed; nothing of the header is left in the socket then, and all that has come behind it is. `ends`: see endsOf().
   */
  read(socket: Socket, then: (ends: Ends | undefined) => void): void {
    this.#headers.read(socket, (_, said) => then(said.source === undefined ? endsOf(socket) : endsIn(said)));
  }

  /** Closes the sockets whose header is awaited. */
  destroyAll(): void {
    this.#headers.destroyAll();
  }
}

/** Undefined: the client has come to the balancer by a Unix socket. */
function endsIn({ source, sourcePort, destination }: ProxiedEnds): Ends | undefined {
  if (source === undefined || sourcePort === undefined || destination === undefined) return undefined;
  return { source: { address: source, port: sourcePort }, destination };
}
