/**
 * What a router in the primary process of a cluster, and the servers in its workers, say to each other over the channel
 * of node:cluster. It is the application's channel too: other messages are not for us.
 */

/** `port`: the one that both were given, by which several routers are told apart. */
export type ToRouter = { resplice: "to-router"; say: "here" | "draining" | "leaving"; port: number; serverId: string };

export type ToServer =
  /** Asks for "here": the router has begun after the server. */
  | { resplice: "to-server"; say: "who"; port: number }
  /** The router listens: its answer to "here". */
  | { resplice: "to-server"; say: "listening"; serverId: string; host: string; port: number }
  /** The message comes with the socket. `bytes`: what was read of it, in base64. */
  | { resplice: "to-server"; say: "connection"; serverId: string; bytes: string }
  /** No connection comes any more: the answer to "leaving". */
  | { resplice: "to-server"; say: "left"; serverId: string };

export function isToRouter(message: unknown): message is ToRouter {
  return (message as Partial<ToRouter> | null | undefined)?.resplice === "to-router";
}

export function isToServer(message: unknown): message is ToServer {
  return (message as Partial<ToServer> | null | undefined)?.resplice === "to-server";
}
