/** A link in mode "bytes" as a stream.Duplex, for code that wants a net.Socket. */
import { Duplex } from "node:stream";
import type { ResolvedLinkOptions } from "./options.ts";
import type { Message } from "./types.ts";

/** What the stream needs of its link: its input, and the rest. */
export interface DuplexInput {
  take(): Message | undefined;
  /** Everything that was taken is accepted, but for its last bytes. */
  accept(unreadBytes: number): void;
  /** The peer has ended, and everything before was taken. */
  readonly isWhole: boolean;
  /** The peer can send nothing more until something is accepted. */
  readonly isFull: boolean;
}

export interface DuplexOutput {
  trySend(chunk: Buffer): boolean;
  send(chunk: Buffer): Promise<void>;
  /** A sender that paces itself waits now; progress() is called when that may have changed. */
  hasToWait(): boolean;
}

export interface DuplexLink {
  /** Everything that was written has been taken: this direction ends. */
  endSending(): void;
  abort(code: string): void;
  /** Fulfils when the peer has accepted all of our direction; rejects with what keeps it from that. */
  sent(): Promise<void>;
  /** The link is closed, by whomever; `failure` says why, if that was not in order. */
  readonly isOver: boolean;
  readonly failure: Error | undefined;
  /** Our application has ended both directions at once, whatever is unread. */
  readonly isAborted: boolean;
}

/** What is written in one go is taken in pieces of so much. */
const MOST_CHUNK_BYTES = 65_536;
/** What an encoding makes of bytes: no character stands for more of them, and no more than these wait for their rest. */
const MOST_BYTES_OF_CHARACTER = 3;

export class LinkDuplex extends Duplex {
  readonly #link: DuplexLink;
  readonly #output: DuplexOutput;
  readonly #input: DuplexInput;
  readonly #maxChunkBytes: number;
  #wanted = false;
  #inputOver = false;
  /** What the reader has asked for and was not given since less is here. */
  #awaitedLength = 0;
  /** The write that is taken, and to be answered when no sender has to wait any more. */
  #held: (() => void) | undefined;
  /** The link is over, and the reader has still to come to the end of what it brought. */
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

  /** The link looks in whenever something has arrived, left or ended. */
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
      this.#wanted = this.push(chunk);
      this.#accept();
    }
  }

  /**
   * What is in the stream's buffer is not accepted: its application may never read it. One that waits there for more than
   * is here would wait for ever if that were more than the peer may send: then all but the last byte is, which keeps the
   * peer's direction from ending before it was read.
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

  /** Everybody reads by this, a pipe and a loop too. */
  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    // Of nothing it is called by the stream itself.
    if (size !== 0) this.#awaitedLength = chunk === null && size !== undefined ? size : 0;
    this.#accept();
    return chunk;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#send(chunk, callback);
  }

  #send(chunk: Buffer, callback: (error?: Error | null) => void): void {
    try {
      // Nothing is sent of it, but it may be empty since its memory was transferred elsewhere, and that is an error.
      if (chunk.length === 0) this.#output.trySend(chunk);
      const maxChunkBytes = this.#maxChunkBytes;
      for (let at = 0; at < chunk.length; at += maxChunkBytes) {
        const piece = chunk.subarray(at, at + maxChunkBytes);
        if (this.#output.trySend(piece)) continue;
        const rest = chunk.subarray(at + piece.length);
        this.#output.send(piece).then(() => this.#send(rest, callback), callback);
        return;
      }
    } catch (error) {
      callback(error as Error);
      return;
    }
    if (this.#output.hasToWait()) this.#held = callback;
    else callback();
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  #release(): void {
    const callback = this.#held;
    this.#held = undefined;
    callback?.();
  }

  /** Finished means that the peer has accepted everything, so that `pipeline()` tells the truth. */
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
   * The link is over. Where the peer has not ended, or our application has not, or has aborted, that has cut the stream
   * short: there is 'close', and 'error' before it if the link did not end in order, but no 'end' or 'finish'.
   */
  #leave(): void {
    const { failure, isAborted } = this.#link;
    if (failure !== undefined || isAborted || !this.#inputOver) {
      this.destroy(failure);
    } else if (!this.readableEnded) {
      // All of it is here: its reader is told so first, and so is a stream that nobody reads.
      this.#awaitsEnd = true;
      this.once("end", () => this.#leave());
      if (this.readableLength === 0) super.read(0);
    } else if (!this.writableEnded && this.allowHalfOpen) {
      this.destroy();
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // The peer would take what it has for the whole. Does nothing once both directions are through.
    this.#link.abort("stream-destroyed");
    this.#release();
    callback(error);
  }
}
