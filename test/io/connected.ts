import { EventEmitter, once } from "node:events";
import net from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";
import { StreamConnection } from "../../src/io/connection.ts";
import { Arrivals, rawServer } from "../support.ts";

export interface Connected {
  connection: StreamConnection;
  near: net.Socket;
  far: net.Socket;
  heard: string[];
}

/** A connection on a socket, the socket at its other end, and what the connection's handler has heard. */
export async function connected(): Promise<Connected> {
  const sockets = new Arrivals<net.Socket>();
  const port = await rawServer((socket) => sockets.put(socket));
  const near = net.connect(port, "127.0.0.1");
  onTestFinished(() => void near.destroy());
  await once(near, "connect");
  const far = await sockets.next();
  const connection = new StreamConnection(near, true);
  const heard: string[] = [];
  connection.handler = {
    onData: (chunk) => {
      heard.push(`data ${String(chunk)}`);
      return undefined;
    },
    onDrain: () => void heard.push("drain"),
    onClosed: (reason) => void heard.push(`closed ${reason}`),
  };
  return { connection, near, far, heard };
}

/** All that arrives at a socket until it ends. */
export async function everything(socket: net.Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "end");
  return String(Buffer.concat(chunks));
}

/** A stream with no more than a connection asks for: it cannot be paused. `write` does what its write() is to do. */
export function bareStream(write: (chunk: Buffer, callback: unknown) => void = () => {}): Duplex {
  const nothing = (): void => {};
  const methods = { write, end: nothing, destroy: nothing, resume: nothing, cork: nothing, uncork: nothing };
  const state = { readable: true, writable: true, writableLength: 0 };
  return Object.assign(new EventEmitter(), methods, state) as unknown as Duplex;
}
