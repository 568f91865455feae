/** A link in mode "bytes" as a stream.Duplex, for code that wants a net.Socket. */
import { Duplex } from "node:stream";
import type { ResolvedLinkOptions } from "./options.ts";
import type { Message } from "./types.ts";

/** What the stream needs of its link: its input, and the rest. */
export interface DuplexInput {
  take(): Message | undefined;
  /** Everything that was taken is accepted, but for its last bytes. */
  accept(unreadBytes: number): void;
  exhausted(): boolean;
}

export interface DuplexOutput {
  trySend(chunk: Buffer): boolean;
  send(chunk: Buffer): Promise<void>;
  /** A sender that paces itself waits now; progress() is called when that may have changed. */
  hasToWait(): boolean;
}

export interface DuplexLink {
  end(): void;
  abort(code: string): void;
  /** Fulfils when our direction is through; rejects with what ended the link. */
  sent(): Promise<void>;
  readonly failure: Error | undefined;
}

/** What is written in one go is taken in pieces of so much. */
const MOST_CHUNK_BYTES = 65_536;

export class LinkDuplex extends Duplex {
  readonly #link: DuplexLink;
  readonly #output: DuplexOutput;
  readonly #input: DuplexInput;
  readonly #maxChunkBytes: number;
  #wanted = false;
  #inputOver = false;
  #settled = false;
  /** The write that is taken, and to be answered when no sender has to wait any more. */
  #held: (() => void) | undefined;
  #isHurried = false;

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
    if (!this.#wanted || this.destroyed) return;
    for (let chunk = this.#input.take(); chunk !== undefined; chunk = this.#input.take()) {
      const wantsMore = this.push(chunk);
      this.#accept();
      if (!wantsMore) {
        this.#wanted = false;
        return;
      }
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

  /** What is in the stream's buffer is not accepted: its application may never read it. */
  #accept(): void {
    const unread = this.readableLength;
    // With an encoding these are characters, and nobody knows how many bytes.
    if (unread === 0 || this.readableEncoding === null) this.#input.accept(unread);
  }

  override _read(): void {
    this.#wanted = true;
    this.progress();
  }

  /** Everybody reads by this, a pipe and a loop too. */
  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    this.#accept();
    return chunk;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#send(chunk, callback);
  }

  #send(chunk: Buffer, callback: (error?: Error | null) => void): void {
    try {
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
    if (!this.#isHurried && this.#output.hasToWait()) this.#held = callback;
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

  /** Our direction is about to end: what was written until now is taken, as far as the queue has room. */
  hurry(): void {
    this.#isHurried = true;
    this.#release();
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
