import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { unmapped } from "./address-list.ts";

/**
 * The address of the peer that a stream is connected to; "" where it has none, as on a Unix socket, or where the stream
 * is no socket. A socket knows it from when it is connected until it is closed.
 */
export function remoteAddressOf(stream: Duplex): string {
  return stream instanceof Socket ? unmapped(stream.remoteAddress ?? "") : "";
}
