/**
 * One connection as the core sees it: its decoder, the frames to be written besides the session's own, and its round
 * trip.
 */
import { FrameDecoder, type FrameSink } from "../wire/decoder.ts";
import type { Fault } from "../wire/faults.ts";
import { encodeToken, type Frame } from "../wire/frames.ts";
import { Flight, RoundTrip } from "../log/window.ts";

/** Takes the frames of a connection. The first fault that it answers ends the connection's input. */
export interface FrameTaker {
  onFrame(channel: Channel, frame: Frame, nowMs: number): Fault | undefined;
  onData(channel: Channel, offset: number, bytes: Buffer, flags: number): Fault | undefined;
}

const NO_FRAMES: readonly Buffer[] = [];

export class Channel implements FrameSink {
  /** The driver's name for the connection, never used twice. */
  readonly id: number;
  readonly openedMs: number;
  readonly decoder: FrameDecoder;
  readonly roundTrip: RoundTrip = new RoundTrip();
  readonly flight: Flight = new Flight(this.roundTrip);
  closed = false;
  /** Frames of the handshake and of endings, of which a connection has only a few. */
  #frames: readonly Buffer[] = NO_FRAMES;
  /** The newest PING that is to be answered; an older one is covered by it. */
  #pongToken: number | undefined;
  #pingToken: number | undefined;
  // These are set while a chunk is being taken.
  #taker: FrameTaker | undefined;
  #nowMs = 0;
  #problem: Fault | undefined;

  constructor(id: number, expect: number, nowMs: number) {
    this.id = id;
    this.openedMs = nowMs;
    this.decoder = new FrameDecoder(expect);
  }

  /** Answers the first fault, found in the bytes or answered by `taker`. */
  receive(chunk: Buffer, taker: FrameTaker, nowMs: number): Fault | undefined {
    this.#taker = taker;
    this.#nowMs = nowMs;
    this.#problem = undefined;
    const problem = this.decoder.push(chunk, this) ?? this.#problem;
    this.#taker = undefined;
    return problem;
  }

  onFrame(frame: Frame): void {
    this.#problem = this.#taker?.onFrame(this, frame, this.#nowMs);
    if (this.#problem !== undefined) this.decoder.stop();
  }

  onData(offset: number, bytes: Buffer, flags: number): void {
    this.#problem = this.#taker?.onData(this, offset, bytes, flags);
    if (this.#problem !== undefined) this.decoder.stop();
  }

  send(frame: Buffer): void {
    this.#frames = [...this.#frames, frame];
  }

  owePong(token: number): void {
    this.#pongToken = token;
  }

  owePing(token: number): void {
    this.#pingToken = token;
  }

  /** Moves the frames that are to be written into `out`. */
  drainInto(out: Buffer[]): void {
    if (this.#frames.length > 0) {
      out.push(...this.#frames);
      this.#frames = NO_FRAMES;
    }
    if (this.#pongToken !== undefined) {
      out.push(encodeToken("pong", this.#pongToken));
      this.#pongToken = undefined;
    }
    if (this.#pingToken !== undefined) {
      out.push(encodeToken("ping", this.#pingToken));
      this.#pingToken = undefined;
    }
  }

  get hasFrames(): boolean {
    return this.#frames.length > 0 || this.#pongToken !== undefined || this.#pingToken !== undefined;
  }

  close(): void {
    this.closed = true;
    this.decoder.stop();
  }
}
