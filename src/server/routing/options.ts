/** The options of routeConnections(). */
import { checkOptions, integer, MOST_MS, text } from "../../link/check.ts";

/** The options of routeConnections(). */
export interface RouteOptions {
  /** The servers of the workers have the same. 0: any free port. */
  port: number;
  /** Default: every address, as in net. */
  host?: string;
  /** For the first 38 bytes of a connection, from its opening. Default 10,000. */
  handshakeMs?: number;
  /**
   * Connections whose first bytes are awaited. Default 1,000. Above it the oldest is refused, of the address with most of
   * them.
   */
  waiting?: number;
}

export type ResolvedRoute = Required<Omit<RouteOptions, "host">> & Pick<RouteOptions, "host">;

const MOST_WAITING = 1_000_000;

/** Throws INVALID_OPTION. */
export function resolveRoute(options: RouteOptions): ResolvedRoute {
  checkOptions("routeConnections()", options, "{ port: 7000 }", ["port", "host", "handshakeMs", "waiting"]);
  const { port, host, handshakeMs = 10_000, waiting = 1_000 } = options;
  return {
    port: integer("port", port, 0, 65_535),
    ...(host === undefined ? {} : { host: text("host", host) }),
    handshakeMs: integer("handshakeMs", handshakeMs, 1, MOST_MS),
    waiting: integer("waiting", waiting, 1, MOST_WAITING),
  };
}
