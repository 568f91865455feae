/** The kind of a server. */
import http from "node:http";
import https from "node:https";
import type { Server } from "node:net";

/** HTTP/1 without TLS. */
export function isClearHttp1(server: Server): boolean {
  return server instanceof http.Server;
}

/** Also HTTP/2. */
export function isHttp(server: Server): boolean {
  return server instanceof http.Server || server instanceof https.Server || isHttp2(server);
}

/** Classes of node:http2 are not exported; their servers alone have this method. */
export function isHttp2(server: Server): boolean {
  return "updateSettings" in server;
}
