/** A link in mode "bytes" as a stream.Duplex, for code that wants a net.Socket. */
import { Duplex } from "node:stream";
import type { Message } from "./types.ts";

/** What the stream needs of its link: its input, and the rest. */
export interface DuplexInput {
  take(): Message | undefined;
  accept(): void;
  exhausted(): boolean;
}

export interface DuplexLink {
  trySend(chunk: Buffer): boolean;
  send(chunk: Buffer): Promise<void>;
  end(): void;
  abort(code: string): void;
  /** Fulfils when our direction is through; rejects with what ended the link. */
  sent(): Promise<void>;
  readonly failure: Error | undefined;
}

export class LinkDuplex extends Duplex {
  readonly #link: DuplexLink;
  readonly #input: DuplexInput;
  readonly #maxChunkBytes: number;
  #wanted = false;
  #inputOver = false;
  #settled = false;

  /** `maxChunkBytes`: what fits into the queue. */
  constructor(link: DuplexLink, input: DuplexInput, maxChunkBytes: number, allowHalfOpen: boolean) {
    // With more the stream would take in what its application may never read.
    super({ allowHalfOpen, readableHighWaterMark: 1 });
    this.#link = link;
    this.#input = input;
    this.#maxChunkBytes = maxChunkBytes;
  }

  /** The link looks in whenever something has arrived or ended. */
  progress(): void {
    if (!this.#wanted || this.destroyed) return;
    for (let chunk = this.#input.take(); chunk !== undefined; chunk = this.#input.take()) {
      // True if it went right to the application. What is in the stream's buffer is accepted when that is read.
      if (!this.push(chunk)) {
        this.#wanted = false;
        return;
      }
      this.#input.accept();
    }
    if (this.#input.exhausted()) {
      const error = this.#link.failure;
      if (error !== undefined) {
        this.#settled = true;
        this.destroy(error);
      } else if (!this.#inputOver) {
        this.#inputOver = true;
        this.push(null);
      }
    }
  }

  override _read(): void {
    this.#wanted = true;
    this.#input.accept();
    this.progress();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#send(chunk, callback);
  }

  #send(chunk: Buffer, callback: (error?: Error | null) => void): void {
    try {
      const maxChunkBytes = this.#maxChunkBytes;
      for (let at = 0; at < chunk.length; at += maxChunkBytes) {
        const piece = chunk.subarray(at, at + maxChunkBytes);
        if (this.#link.trySend(piece)) continue;
        const rest = chunk.subarray(at + piece.length);
        this.#link.send(piece).then(() => this.#send(rest, callback), callback);
        return;
      }
    } catch (error) {
      callback(error as Error);
      return;
    }
    callback();
  }

  /** Finished means that the peer has accepted everything, so that `pipeline()` tells the truth. */
  override _final(callback: (error?: Error | null) => void): void {
    this.#link.end();
    void this.#finish(callback);
  }

  async #finish(callback: (error?: Error | null) => void): Promise<void> {
    let problem: Error | null = null;
    try {
      await this.#link.sent();
    } catch (error) {
      problem = error as Error;
    }
    callback(problem);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const whole = this.#inputOver && this.writableFinished;
    if (!whole && !this.#settled) this.#link.abort("stream-destroyed");
    callback(error);
  }
}
