/** A connection whose TLS handshake is under way: nothing can be sent on it yet, but it can be closed. */
import type { Socket } from "node:net";
import type { Connection, ConnectionHandler } from "../link/ports.ts";

const DEAF: ConnectionHandler = { onData: () => undefined, onDrain: () => {}, onClosed: () => {} };

export class UnsecuredConnection implements Connection {
  handler: ConnectionHandler = DEAF;
  readonly remoteAddress: string;
  readonly roomBytes = 0;
  readonly pendingBytes = 0;
  readonly #socket: Socket;
  readonly #onGivenUp: () => void;

  /** @param onGivenUp called when our side closes the connection */
  constructor(socket: Socket, remoteAddress: string, onGivenUp: () => void) {
    this.remoteAddress = remoteAddress;
    this.#socket = socket;
    this.#onGivenUp = onGivenUp;
    socket.once("close", () => this.handler.onClosed("closed"));
  }

  /** The handshake is over: the TLS socket, with a connection of its own, replaces this one. */
  secured(): void {
    this.handler = DEAF;
  }

  write(): boolean {
    return false;
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    this.destroy();
  }

  destroy(): void {
    this.handler = DEAF;
    this.#onGivenUp();
    this.#socket.destroy();
  }
}
