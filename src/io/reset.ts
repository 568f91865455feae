/** Closes a TCP connection with a reset, at every moment of its life. */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { Clock } from "../link/ports.ts";
import { destroy } from "./destroy.ts";

/** What is still to be written is dropped. If the end of what was written is just being sent, the reset follows it. */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished && socket.writableLength === 0) {
    // libuv refuses to reset in the middle of a shutdown (EINVAL), and Node then leaks the handle.
    socket.once("finish", () => socket.resetAndDestroy());
  } else {
    // On a connecting socket this waits for the connection: the other end may have it already, and destroy() would send
    // a FIN.
    socket.resetAndDestroy();
  }
}

/**
 * Ends the dial of a socket of TCP. The kernel may have connected it, which Node hears when it next looks at the network:
 * then it is reset, where destroy() would send a FIN.
 */
export function resetDial(socket: Socket, clock: Pick<Clock, "afterPoll">): void {
  socket.resetAndDestroy();
  // The look that Node may be in the middle of, and one that begins now.
  clock.afterPoll((dial) => clock.afterPoll(destroy, dial), socket);
}

/**
 * Destroys a stream whose peer might take what it has received for the whole: one of TCP is reset, where an end would say
 * that all was sent.
 */
export function cutOff(stream: Duplex): void {
  if (stream instanceof Socket && !(stream instanceof TLSSocket) && stream.remoteAddress !== undefined) {
    resetSocket(stream);
  }
  destroy(stream);
}
