/**
 * Memory that the sockets to targets are read into, one after another: what was read is copied into the link at once. Node
 * would allocate 64 KiB for each read, and collecting that is the larger part of what a transfer costs.
 */
import net, { type NetConnectOpts, type Socket } from "node:net";
import { HEAD_BYTES } from "./records.ts";

/** With the head of its record it fills a block of the link's log. */
const READ_BYTES = 65_532;
/** The largest that was read, with room for the head of a record before it. */
export const CHUNK_BYTES: number = HEAD_BYTES + READ_BYTES;
const MEMORY: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
const READ_INTO: Buffer = MEMORY.subarray(HEAD_BYTES);

/** Takes what a socket has read: `memory` from `HEAD_BYTES` to before `to`, which changes with the next read of any socket. */
export type Take = (socket: Socket, memory: Buffer, to: number) => void;

/** The property in which a socket keeps who takes what it reads: undefined until that is known. */
const TAKE: unique symbol = Symbol("take");
type ReadSocket = Socket & { [TAKE]?: Take | undefined };

/** As `net.connect()`; the socket is paused, and emits no 'data': `readInto()` says who takes what is read. */
export function connectSocket(to: NetConnectOpts): Socket {
  const callback = (bytes: number): boolean => {
    socket[TAKE]?.(socket, MEMORY, HEAD_BYTES + bytes);
    // Whoever takes it has paused the socket, if that was enough.
    return true;
  };
  const socket: ReadSocket = net.connect({ ...to, onread: { buffer: READ_INTO, callback } });
  socket[TAKE] = undefined;
  return socket.pause();
}

/** Answers false for a socket of another origin. */
export function readInto(socket: Socket, take: Take): boolean {
  if (!(TAKE in socket)) return false;
  (socket as ReadSocket)[TAKE] = take;
  socket.resume();
  return true;
}
