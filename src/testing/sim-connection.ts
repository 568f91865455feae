/** Adapts one end of a simulated connection to the `Connection` that a link uses. */
import type { Connection, ConnectionHandler } from "../link/ports.ts";
import type { SimSocket } from "./network.ts";

const DEAF: ConnectionHandler = { onData: () => undefined, onDrain: () => {}, onClosed: () => {} };

export class SimConnection implements Connection {
  handler: ConnectionHandler = DEAF;
  /** The address that a service sees on a developer's machine. */
  readonly remoteAddress = "127.0.0.1";
  /** Nothing is ever pending: written bytes are copied at once. */
  readonly pendingBytes = 0;
  readonly #socket: SimSocket;

  constructor(socket: SimSocket) {
    this.#socket = socket;
    socket.events = {
      onData: (chunk) => this.handler.onData(chunk),
      onDrain: () => this.handler.onDrain(),
      onClose: (reason) => this.handler.onClosed(reason),
    };
  }

  get roomBytes(): number {
    return this.#socket.closed ? 0 : this.#socket.roomBytes;
  }

  write(buffers: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(buffers));
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
