/** Links beneath a library: what it takes for the socket of a connection is a link, at the client and at the server. */
import { randomBytes } from "node:crypto";
import type net from "node:net";
import type { Link } from "../../src/index.ts";
import type { FaultRelay } from "../../src/testing/index.ts";
import { manage, QUICK, relayTo, serve } from "../support.ts";

export interface Stage {
  relay: FaultRelay;
  /** A new link, as the library's connection. */
  open: () => net.Socket;
  /** The links of the server, in the order in which they were opened. */
  links: Link[];
  /** Breaks the connections of all links. They come back by themselves. */
  cut: () => void;
}

/** As servers of HTTP have their sockets, and as TLS needs them that is piped: it writes on after the client's end. */
export const HALF_OPEN = { allowHalfOpen: true };

/** `onSocket` hands the socket of each link to the library's server. */
export async function stage(
  onSocket: (socket: net.Socket) => void,
  options: { allowHalfOpen?: boolean } = {},
): Promise<Stage> {
  const links: Link[] = [];
  // Tests may make the event loop late: that is no reason to send the client away.
  const { port } = await serve({ ...options, mode: "bytes", resources: { lag: false } }, (link) => {
    links.push(link);
    onSocket(link.socket());
  });
  const relay = await relayTo(port);
  const manager = manage();
  return {
    relay,
    links,
    open: () => manager.open({ port: relay.port, host: "127.0.0.1", mode: "bytes", reconnect: QUICK }).socket(),
    cut: () => relay.cut("rst"),
  };
}

/** More than a connection is given at once, so that a cut finds some of it under way. */
export const LARGE: Buffer = randomBytes(1_048_576);
