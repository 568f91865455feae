/** One connection: its decoder, what is written on it besides messages, and how far its login has come. */
import { isBytes, isError } from "../core/foreign.ts";
import { type Fault, fault } from "../core/wire/faults.ts";
import { ENTRY_BYTES } from "./entry.ts";
import type { FrameDecoder, Framing } from "./framing.ts";
import { Held } from "./held.ts";

const NOTHING: Buffer = Buffer.alloc(0);

/** Why a connection is given up. `reason` is stable; docs/plain.md lists all. */
export interface Problem {
  reason: string;
  fault: Fault | undefined;
  restsAddress?: boolean;
}

/** A mistake of the peer, or of a function of the application that was asked about a message of the peer's. */
export function problem(reason: string, detail: string): Problem {
  return { reason, fault: fault("bad-frame", detail) };
}

/** The text of what a function of the application has thrown. It may have thrown anything. */
export function textOf(thrown: unknown): string {
  try {
    return isError(thrown) ? thrown.message : String(thrown);
  } catch {
    return "something that cannot be shown";
  }
}

/** Takes the messages of a connection. */
export interface MessageTaker {
  onMessage(connection: PlainConnection, message: Buffer, nowMs: number): void;
}

export class PlainConnection {
  /** The driver's name for the connection, never used twice. */
  readonly id: number;
  isInUse = false;
  isClosed = false;
  /** TLS is being started: nothing may arrive that is not TLS. */
  isStartingTls = false;
  /** Why it is to be given up; what arrives after that is not looked at. */
  problem: Problem | undefined;
  /** Messages that were of use. */
  messages = 0;
  readonly #framing: Framing;
  readonly #limits: { maxMessageBytes: number };
  readonly #taker: MessageTaker;
  readonly #deliver: (message: Buffer) => void;
  #decoder: FrameDecoder;
  /** Frames of the login, and probes. */
  #frames: Buffer[] = [];
  /** Of messages that pass the queue: those of a login, a probe. */
  unsentBytes = 0;
  /** So many of the bytes that arrive next are handed on as they are. */
  #rawBytes = 0;
  readonly #raw: Held = new Held();
  #nowMs = 0;

  constructor(id: number, framing: Framing, limits: { maxMessageBytes: number }, taker: MessageTaker) {
    this.id = id;
    this.#framing = framing;
    this.#limits = limits;
    this.#taker = taker;
    this.#decoder = DEAF;
    this.#deliver = (message) => this.#onMessage(message);
    this.#renew();
  }

  /** Begins to decode anew. */
  #renew(): void {
    try {
      this.#decoder = this.#framing.decoder(this.#limits);
    } catch (thrown) {
      this.problem ??= problem("framing-failed", textOf(thrown));
    }
  }

  // ── what arrives ────────────────────────────────────────────────────────────────────────────────────────────────

  receive(chunk: Buffer, nowMs: number): void {
    if (this.isStartingTls) {
      this.problem ??= problem("bytes-before-tls", "bytes arrived behind the answer that allowed TLS, and before it");
      return;
    }
    const rest = this.#rawBytes > 0 ? this.#takeRaw(chunk, nowMs) : chunk;
    if (rest.length === 0 || this.problem !== undefined) return;
    this.#nowMs = nowMs;
    try {
      this.#decoder.decode(rest, this.#deliver);
    } catch (thrown) {
      this.problem ??= problem("framing-failed", textOf(thrown));
    }
  }

  /** The peer has ended in order: what it has sent last may be a whole message. */
  end(nowMs: number): void {
    this.#nowMs = nowMs;
    try {
      this.#decoder.end(this.#deliver);
    } catch (thrown) {
      this.problem ??= problem("framing-failed", textOf(thrown));
    }
  }

  #onMessage(message: Buffer): void {
    if (this.isClosed || this.problem !== undefined) return;
    if (message.length > this.#limits.maxMessageBytes) {
      this.problem = { reason: "oversized", fault: fault("oversized", `a message of ${message.length} bytes`) };
      return;
    }
    this.#taker.onMessage(this, message, this.#nowMs);
  }

  /** The next `bytes` that arrive are handed on as one message, whatever the framing is. */
  expectRaw(bytes: number): void {
    this.#rawBytes = bytes;
    this.#raw.clear();
  }

  #takeRaw(chunk: Buffer, nowMs: number): Buffer {
    const raw = this.#raw;
    const taken = Math.min(chunk.length, this.#rawBytes - raw.length);
    raw.add(chunk, 0, taken, this.#rawBytes);
    if (raw.length < this.#rawBytes) return NOTHING;
    this.#rawBytes = 0;
    this.#taker.onMessage(this, raw.take(), nowMs);
    return chunk.subarray(taken);
  }

  /** A message that the login has not taken goes the way of those that arrive now. */
  handOn(message: Buffer, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#onMessage(message);
  }

  /**
   * TLS is to be started. `unread`: messages that were decoded and not received by the login function. Bytes that are
   * here already came in the clear, and would pass for bytes that came under TLS (CVE-2021-23222): they are a fault.
   */
  startTls(unread: number): void {
    let hasRest = unread > 0 || this.#rawBytes > 0;
    try {
      this.#decoder.end(() => (hasRest = true));
    } catch {
      hasRest = true;
    }
    if (hasRest) this.problem ??= problem("bytes-before-tls", "bytes came with the answer that allowed TLS");
    this.isStartingTls = true;
  }

  tlsStarted(): void {
    this.isStartingTls = false;
    this.#renew();
  }

  // ── what is written ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Frames a message that passes the queue. Throws what the framing throws. */
  send(message: Buffer): void {
    const encoded = this.#framing.encode(message);
    const pieces = isBytes(encoded) ? [encoded] : encoded;
    this.sendRaw(Buffer.concat(pieces));
  }

  sendRaw(bytes: Buffer): void {
    this.#frames.push(bytes);
    this.unsentBytes += bytes.length + ENTRY_BYTES;
  }

  /** Moves the frames that are to be written into `out`. */
  drainInto(out: Buffer[]): void {
    if (this.#frames.length === 0) return;
    out.push(...this.#frames);
    this.#frames = [];
    this.unsentBytes = 0;
  }

  close(): void {
    this.isClosed = true;
    this.#frames = [];
    this.#decoder = DEAF;
  }
}

/** Decodes nothing. */
const DEAF: FrameDecoder = { decode: () => {}, end: () => {} };
