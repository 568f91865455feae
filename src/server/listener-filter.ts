/**
 * The first step of an accepted socket, before anything is spent on its client: the PROXY header, which says who that
 * is, and the lists of allowed and denied addresses. For any net.Server.
 */
import type { Socket } from "node:net";
import type { AddressList } from "../io/address-list.ts";
import { remoteAddressOf } from "../io/remote-address.ts";
import { destroy } from "../io/destroy.ts";
import type { Clock } from "../link/ports.ts";
import type { Access } from "./access.ts";
import { ProxyHeaders } from "./proxy-headers.ts";

export interface ListenerFilterOptions {
  access: Access;
  /** The networks of the balancers, each of whose connections begins with a PROXY header. Undefined: there is none. */
  proxies: AddressList | undefined;
  /** For the header, from the accepting of the socket. */
  headerMs: number;
  /** The most sockets whose header is awaited. */
  mostHeaders: number;
  clock: Clock;
  /** A socket was closed. */
  onRejected(remoteAddress: string, reason: "proxy protocol" | "denied", detail: string): void;
  /** A socket was closed since too many were waiting for their header. */
  onCrowdedOut(remoteAddress: string): void;
}

export class ListenerFilter {
  readonly #options: ListenerFilterOptions;
  readonly #headers: ProxyHeaders | undefined;

  constructor(options: ListenerFilterOptions) {
    this.#options = options;
    const { proxies, headerMs, mostHeaders, clock } = options;
    if (proxies === undefined) return;
    this.#headers = new ProxyHeaders({
      trusted: proxies,
      withinMs: headerMs,
      most: mostHeaders,
      clock,
      onWrong: (socket, source, problem) => {
        reset(socket, source);
        options.onRejected(source, "proxy protocol", problem);
      },
      onCrowdedOut: (socket, source) => {
        reset(socket, source);
        options.onCrowdedOut(source);
      },
    });
  }

  /** Sockets whose header is awaited. */
  get waiting(): number {
    return this.#headers?.size ?? 0;
  }

  /** Changes `mostHeaders`. Headers that are awaited already still are. */
  setMostHeaders(most: number): void {
    this.#headers?.setMost(most);
  }

  /**
   * Calls `letIn` with the client's address, unless the socket is closed. The socket can be used as if it had just been
   * accepted: nothing of a header is left in it.
   */
  pass(socket: Socket, letIn: (remoteAddress: string) => void): void {
    const admit = (remoteAddress: string): void => {
      if (this.admits(remoteAddress)) letIn(remoteAddress);
      else reset(socket, remoteAddressOf(socket));
    };
    if (this.#headers === undefined) admit(remoteAddressOf(socket));
    else this.#headers.read(socket, admit);
  }

  /** Whether a client with this address may connect; if not, that is counted. */
  admits(remoteAddress: string): boolean {
    if (this.#options.access.admits(remoteAddress)) return true;
    this.#options.onRejected(remoteAddress, "denied", "");
    return false;
  }

  destroyAll(): void {
    this.#headers?.destroyAll();
  }
}

/** Closes the socket so that the kernel keeps nothing of it. A Unix socket cannot be reset, and leaves nothing. */
function reset(socket: Socket, ownAddress: string): void {
  // An 'error' without a listener would end the process.
  socket.on("error", () => {});
  if (ownAddress === "") destroy(socket);
  else socket.resetAndDestroy();
}
