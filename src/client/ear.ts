/** Keeps the first bytes that a new connection brings: they show who has answered, if the attempt fails. */
import { ownCopy } from "../core/wire/bytes.ts";
import { FIRST_BYTES } from "../core/wire/strangers.ts";
import type { Connection, ConnectionHandler } from "../link/ports.ts";

const NOTHING = Buffer.alloc(0);

/** Stands between a connection and its handler until the first chunk has come. */
export class Ear implements ConnectionHandler {
  /** At the most one byte more than are shown. Empty: none have come. */
  first: Buffer = NOTHING;
  readonly #connection: Connection;
  readonly #handler: ConnectionHandler;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#handler = connection.handler;
    connection.handler = this;
  }

  onData(chunk: Buffer): "enough" | undefined {
    // The handler may free the chunk's memory.
    this.first = ownCopy(chunk.subarray(0, FIRST_BYTES + 1));
    this.#connection.handler = this.#handler;
    return this.#handler.onData(chunk);
  }

  onDrain(): void {
    this.#handler.onDrain();
  }

  get onWritten(): (() => void) | undefined {
    return this.#handler.onWritten;
  }

  get onInputEnded(): (() => void) | undefined {
    return this.#handler.onInputEnded;
  }

  onClosed(reason: string): void {
    this.#handler.onClosed(reason);
  }
}
