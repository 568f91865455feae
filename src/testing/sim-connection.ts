/** Adapts one end of a simulated connection to the `Connection` that a link uses. */
import type { Connection, ConnectionHandler } from "../link/ports.ts";
import type { SimSocket } from "./network.ts";

const DEAF: ConnectionHandler = { onData: () => undefined, onDrain: () => {}, onClosed: () => {} };

export class SimConnection implements Connection {
  readonly remoteAddress: string;
  #handler: ConnectionHandler = DEAF;
  readonly #socket: SimSocket;

  constructor(socket: SimSocket, remoteAddress: string) {
    this.#socket = socket;
    this.remoteAddress = remoteAddress;
    this.handler = DEAF;
  }

  get handler(): ConnectionHandler {
    return this.#handler;
  }

  set handler(handler: ConnectionHandler) {
    this.#handler = handler;
    this.#socket.events = {
      onData: (chunk) => handler.onData(chunk),
      onDrain: () => handler.onDrain(),
      onWritten: handler.onWritten,
      onClose: (reason) => handler.onClosed(reason),
    };
  }

  get roomBytes(): number {
    return this.#socket.closed ? 0 : this.#socket.roomBytes;
  }

  get pendingBytes(): number {
    return this.#socket.pendingBytes;
  }

  write(buffers: readonly Buffer[]): boolean {
    this.#socket.write(Buffer.concat(buffers));
    return false;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(last: readonly Buffer[]): void {
    this.write(last);
    this.handler = DEAF;
    this.#socket.end();
  }

  destroy(): void {
    this.handler = DEAF;
    this.#socket.destroy();
  }
}
