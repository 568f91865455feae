/** The limits of the servers of a simulated world. */
import type { ServerCoreOptions } from "../../src/core/server/state.ts";

/** How much room a server has. */
export type Room = Pick<
  ServerCoreOptions,
  | "maxConnections"
  | "maxConnectionsPerAddress"
  | "maxHandshakes"
  | "maxAuthenticating"
  | "maxSessions"
  | "maxSessionsPerIdentity"
>;

/** Whoever waits for it is to come to rest in the end. */
export const ENOUGH: Room = {
  maxConnections: 400,
  maxConnectionsPerAddress: 400,
  maxHandshakes: 400,
  maxAuthenticating: 100,
  maxSessions: 100,
  maxSessionsPerIdentity: 100,
};
