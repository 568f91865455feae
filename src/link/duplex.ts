/** A link in mode "bytes" as a stream.Duplex: the stream of duplex(), and what that of socket() is made from. */
import { Duplex } from "node:stream";
import type { ResolvedLinkOptions } from "./options.ts";
import type { Message } from "./types.ts";

/** The input that the stream reads from its link. */
export interface DuplexInput {
  take(): Message | undefined;
  /** Accepts everything that was taken but its last `unreadBytes`. */
  accept(unreadBytes: number): void;
  /** The peer has ended, and everything before was taken. */
  readonly isWhole: boolean;
  /** The peer can send nothing more until something is accepted. */
  readonly isFull: boolean;
}

export interface DuplexOutput {
  trySend(chunk: Buffer): boolean;
  send(chunk: Buffer): Promise<void>;
  /** Whether a paced sender has to wait now; progress() is called when that may have changed. */
  hasToWait(): boolean;
}

export interface DuplexLink {
  /** Ends this direction: everything that was written has been taken. */
  endSending(): void;
  abort(code: string): void;
  /** Fulfils when the peer has accepted all of our direction; rejects if it will never do so. */
  sent(): Promise<void>;
  /** The link is closed, by either end. `failure` is the error, if it did not end in order. */
  readonly isOver: boolean;
  readonly failure: Error | undefined;
  /** Our application has called abort(), though bytes may be unread. */
  readonly isAborted: boolean;
}

/** A larger write is taken in pieces of this size. */
const MOST_CHUNK_BYTES = 65_536;
/**
 * The most bytes behind one UTF-16 unit of decoded text, and the most that a decoder holds of an incomplete character.
 */
const MOST_BYTES_OF_CHARACTER = 3;

export class LinkDuplex extends Duplex {
  readonly #link: DuplexLink;
  readonly #output: DuplexOutput;
  readonly #input: DuplexInput;
  readonly #maxChunkBytes: number;
  #wanted = false;
  #inputOver = false;
  /** The length that the reader has asked for in vain, since fewer bytes are here; else 0. */
  #awaitedLength = 0;
  /** The callback of a write that was taken; it is called when a paced sender may go on. */
  #held: (() => void) | undefined;
  /** The link is over, and the reader has not come to the end of the received bytes yet. */
  #awaitsEnd = false;

  constructor(
    link: DuplexLink,
    output: DuplexOutput,
    input: DuplexInput,
    options: Pick<ResolvedLinkOptions, "queue" | "allowHalfOpen">,
  ) {
    super({ allowHalfOpen: options.allowHalfOpen });
    this.#link = link;
    this.#output = output;
    this.#input = input;
    this.#maxChunkBytes = Math.min(MOST_CHUNK_BYTES, options.queue.maxBytes);
  }

  /** The link calls this whenever something has arrived, was written or has ended. */
  progress(): void {
    if (this.#held !== undefined && !this.#output.hasToWait()) this.#release();
    if (this.destroyed) return;
    this.#fill();
    if (this.#input.isWhole && !this.#inputOver) {
      this.#inputOver = true;
      this.push(null);
    }
    if (this.#link.isOver && !this.#awaitsEnd) this.#leave();
  }

  #fill(): void {
    while (this.#wanted) {
      const chunk = this.#input.take();
      if (chunk === undefined) break;
      this.onTaken(chunk.length);
      this.#wanted = this.push(chunk);
      this.#accept();
    }
  }

  /**
   * Bytes in the stream's buffer are not accepted: the application may never read them. There is one exception. An
   * application that waits for more bytes than are here might wait for ever, since the peer may not be allowed to send
   * as many. Then all but the last byte are accepted; that byte keeps the peer's direction from ending before it was
   * read.
   */
  #accept(): void {
    const length = this.readableLength;
    if (length === 0) return this.#input.accept(0);
    const isAwaited = this.#awaitedLength > length || (this.#wanted && this.#input.isFull);
    const isText = this.readableEncoding !== null;
    this.#input.accept(isAwaited ? 1 : isText ? MOST_BYTES_OF_CHARACTER * (length + 1) : length);
  }

  override _read(): void {
    this.#wanted = true;
    this.progress();
  }

  /** Every reader comes through here, a pipe and a loop too. */
  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    // The stream calls read(0) itself.
    if (size !== 0) this.#awaitedLength = chunk === null && size !== undefined ? size : 0;
    this.#accept();
    return chunk;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#send(chunk, callback);
  }

  #send(chunk: Buffer, callback: (error?: Error | null) => void): void {
    try {
      // An empty chunk sends nothing, but trySend() throws if it is empty because its memory was transferred elsewhere.
      if (chunk.length === 0) this.#output.trySend(chunk);
      const maxChunkBytes = this.#maxChunkBytes;
      for (let at = 0; at < chunk.length; at += maxChunkBytes) {
        const piece = chunk.subarray(at, at + maxChunkBytes);
        if (!this.#output.trySend(piece)) return this.#sendLater(piece, chunk.subarray(at + piece.length), callback);
        this.onSent(piece.length);
      }
    } catch (error) {
      callback(this.toldError(error as Error));
      return;
    }
    if (this.#output.hasToWait()) this.#held = callback;
    else callback();
  }

  #sendLater(piece: Buffer, rest: Buffer, callback: (error?: Error | null) => void): void {
    const fail = (error: Error): void => callback(this.toldError(error));
    this.#output.send(piece).then(() => {
      this.onSent(piece.length);
      this.#send(rest, callback);
    }, fail);
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  #release(): void {
    const callback = this.#held;
    this.#held = undefined;
    callback?.();
  }

  /** 'finish' waits until the peer has accepted everything, so `pipeline()` reports success only then. */
  override _final(callback: (error?: Error | null) => void): void {
    this.#link.endSending();
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

  /**
   * The link is over. The stream was cut short if the peer has not ended, if our application has not, or if it has
   * aborted. Then 'close' comes without 'end' or 'finish', and after 'error' if the link did not end in order.
   */
  #leave(): void {
    const { failure, isAborted } = this.#link;
    if (failure !== undefined || isAborted || !this.#inputOver) {
      this.destroy(failure && this.toldError(failure));
    } else if (!this.readableEnded) {
      // All bytes have arrived: 'end' comes first, even if nobody reads the stream and nothing is left in it.
      this.#awaitsEnd = true;
      this.once("end", () => this.#leave());
      if (this.readableLength === 0) super.read(0);
    } else if (!this.writableEnded && this.allowHalfOpen) {
      this.destroy();
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.leaveLink(error);
    this.#release();
    callback(error);
  }

  // ── what another stream on a link does in its own way ───────────────────────────────────────────────────────────

  /** So many bytes are handed to the reader. */
  protected onTaken(_bytes: number): void {}

  /** The link has taken so many bytes of the chunk that is being written. */
  protected onSent(_bytes: number): void {}

  /** The error as the stream tells it. */
  protected toldError(error: Error): Error {
    return error;
  }

  /**
   * The stream is destroyed. Without the abort the peer would take the bytes that it has for the whole. Does nothing
   * once both directions are complete.
   */
  protected leaveLink(_error: Error | null): void {
    this.#link.abort("stream-destroyed");
  }
}
