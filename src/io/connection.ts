/** A socket, or any other Duplex, as a link's connection. */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Connection, ConnectionHandler } from "../link/ports.ts";

/** What may wait in our own process: the rest stays in the log, where a new connection finds it. */
const SHALLOW_BYTES = 131_072;
/** Small buffers are written as one. */
const GATHERED_BYTES = 4_096;
/** A peer that does not close after us is not waited for longer. */
const LINGER_MS = 2_000;

const DEAF: ConnectionHandler = { onData: () => {}, onDrain: () => {}, onClosed: () => {} };

export class StreamConnection implements Connection {
  handler: ConnectionHandler = DEAF;
  readonly remoteAddress: string;
  readonly #stream: Duplex;
  /** What is written is used again once the peer has accepted it. A socket is done with it by then; who knows of others. */
  readonly #copies: boolean;
  #closed = false;

  /** The stream is connected. It is read from, and closed, by nobody else from now on. */
  constructor(stream: Duplex) {
    this.#stream = stream;
    this.#copies = !(stream instanceof Socket);
    this.remoteAddress = stream instanceof Socket ? (stream.remoteAddress ?? "") : "";
    if (stream instanceof Socket) stream.setNoDelay(true);
    stream.on("data", (chunk: Buffer) => this.handler.onData(chunk));
    stream.on("drain", () => this.handler.onDrain());
    // The peer says no more: a connection serves both directions, or none.
    stream.on("end", () => this.#close("closed by the peer"));
    stream.on("error", (error: Error) => this.#close(describe(error)));
    stream.on("close", () => this.#close("closed"));
  }

  #close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.destroy();
    this.handler.onClosed(reason);
  }

  get roomBytes(): number {
    if (this.#closed) return 0;
    return Math.max(0, SHALLOW_BYTES - this.#stream.writableLength);
  }

  write(buffers: readonly Buffer[]): void {
    if (this.#closed) return;
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length;
    if (bytes <= GATHERED_BYTES || this.#copies) {
      this.#stream.write(buffers.length === 1 && !this.#copies ? buffers[0] : Buffer.concat(buffers, bytes));
      return;
    }
    this.#stream.cork();
    for (const buffer of buffers) this.#stream.write(buffer);
    this.#stream.uncork();
  }

  end(last: readonly Buffer[]): void {
    if (this.#closed) return;
    this.write(last);
    this.#closed = true;
    this.handler = DEAF;
    this.#stream.end();
    const linger = setTimeout(() => this.#stream.destroy(), LINGER_MS);
    this.#stream.once("close", () => clearTimeout(linger));
  }

  destroy(): void {
    this.#closed = true;
    this.handler = DEAF;
    this.#stream.destroy();
  }
}

function describe(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
