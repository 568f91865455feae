/** One raw connection, at either end, that says what no client or server of ours would; and the session that it speaks for. */
import net from "node:net";
import tls from "node:tls";
import { FrameDecoder } from "../../src/core/wire/decoder.ts";
import {
  encodeConfirm,
  encodeDataHeader,
  encodeHello,
  encodeToken,
  type Frame,
  FRAME_HEADER_BYTES,
  type Hello,
  PROTOCOL_VERSION,
  type Welcome,
} from "../../src/core/wire/frames.ts";
import {
  confirmMac,
  encodeProvenHello,
  newId,
  newKeys,
  NO_INCARNATION,
  secretBytes,
} from "../../src/core/session/proof.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import { EVERY_FRAME } from "../core/support.ts";

export type Where = { port: number; localAddress?: string; tls?: boolean } | { path: string; tls?: boolean };

export class Wire {
  readonly socket: net.Socket;
  /** Up to where the peer has given credit on this connection. */
  limit = 0;
  isOver = false;
  readonly #decoder = new FrameDecoder(EVERY_FRAME);
  readonly #frames: Frame[] = [];
  #wakes: Array<() => void> = [];

  /** Only a bare TCP socket has a reset. */
  readonly #mayReset: boolean;

  constructor(socket: net.Socket, mayReset = true) {
    this.socket = socket;
    this.#mayReset = mayReset;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      this.#decoder.push(chunk, { onFrame: (frame) => this.#onFrame(frame), onData: () => {} });
      this.#wake();
    });
    socket.on("drain", () => this.#wake());
    socket.once("close", () => {
      this.isOver = true;
      this.#wake();
    });
  }

  /** The bare connection; not connected yet, and perhaps never. */
  static dial(where: Where): Wire {
    const { tls: isSecure, ...address } = where;
    const socket = net.connect("port" in address ? { host: "127.0.0.1", ...address } : address);
    socket.setNoDelay(true);
    if (isSecure === true) return new Wire(tls.connect({ socket, rejectUnauthorized: false }), false);
    return new Wire(socket, "port" in address);
  }

  /** The next frame that is neither credit nor a PING; undefined when the connection is over. */
  async next(): Promise<Frame | undefined> {
    while (this.#frames.length === 0 && !this.isOver) await this.news();
    return this.#frames.shift();
  }

  /** Until something has arrived or there is room to write, or the connection is over. */
  news(): Promise<void> {
    return new Promise((resolve) => this.#wakes.push(resolve));
  }

  /** Answers false when the connection is over. */
  async write(...bytes: Buffer[]): Promise<boolean> {
    if (this.isOver) return false;
    const { socket } = this;
    socket.cork();
    for (const each of bytes) socket.write(each);
    process.nextTick(() => socket.uncork());
    while (socket.writableNeedDrain && !this.isOver) await this.news();
    return !this.isOver;
  }

  /** With a reset: an end in order would keep the port for a minute. */
  leave(): void {
    if (this.#mayReset) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  #onFrame(frame: Frame): void {
    if (frame.type === "ack") this.limit = frame.positions.accepted + frame.positions.window;
    else if (frame.type === "ping") this.socket.write(encodeToken("pong", frame.token));
    else this.#frames.push(frame);
  }

  #wake(): void {
    for (const wake of this.#wakes.splice(0)) wake();
  }
}

export interface SessionOptions {
  credentials?: string;
  openPayload?: string;
  /** Credit for the other direction. */
  windowBytes?: number;
}

export interface Resuming {
  type?: "hello" | "standby";
  secret?: string;
  openPayload?: string;
  withFallback?: boolean;
}

/** A client's session, spoken for by whichever connection is given. */
export class RawSession {
  readonly keys = newKeys(SYSTEM_ENTROPY);
  readonly #instance = newId(SYSTEM_ENTROPY);
  readonly #options: SessionOptions;
  #incarnation = NO_INCARNATION;
  #counter = 0;

  constructor(options: SessionOptions = {}) {
    this.#options = options;
  }

  #hello(resume: boolean, openPayload: string): Hello {
    const { credentials = "", windowBytes = 0 } = this.#options;
    return {
      version: PROTOCOL_VERSION,
      mode: "messages",
      resume,
      sessionId: this.keys.id,
      incarnation: this.#incarnation,
      generation: { epoch: 1, counter: ++this.#counter },
      instance: this.#instance,
      positions: { received: 0, accepted: 0, window: windowBytes, stop: false, done: false },
      maxMessageBytes: 2 ** 20,
      secretOrProof: resume ? Buffer.alloc(0) : secretBytes(this.keys.secret),
      fallback: undefined,
      credentials: Buffer.from(credentials),
      openPayload: Buffer.from(openPayload),
    };
  }

  /** An open; again, with a higher generation. */
  opening(): Buffer {
    return encodeHello("hello", this.#hello(false, this.#options.openPayload ?? ""));
  }

  /** A resume or a standby, by who knows the secret or by who does not, of whatever open payload. */
  resuming(change: Resuming = {}): Buffer {
    const hello = this.#hello(true, change.openPayload ?? this.#options.openPayload ?? "");
    if (change.withFallback === true) {
      const { id, secret } = newKeys(SYSTEM_ENTROPY);
      hello.fallback = { id, secret: secretBytes(secret) };
    }
    return encodeProvenHello(SYSTEM_ENTROPY, change.type ?? "hello", hello, change.secret ?? this.keys.secret);
  }

  /** As far as WELCOME; answers the frame that came in its place, or undefined where none did. */
  async open(wire: Wire): Promise<Frame | undefined> {
    await wire.write(this.opening());
    const answer = await wire.next();
    if (answer?.type === "welcome") {
      this.#incarnation = answer.welcome.incarnation;
      wire.limit = answer.welcome.positions.window;
    }
    return answer;
  }

  confirm(wire: Wire, welcome: Welcome): Promise<boolean> {
    return wire.write(encodeConfirm(confirmMac(SYSTEM_ENTROPY, this.keys, welcome.incarnation, welcome.nonce)));
  }

  /** Open and confirmed; undefined if it was refused. */
  static async opened(wire: Wire, options: SessionOptions = {}): Promise<RawSession | undefined> {
    const session = new RawSession(options);
    const answer = await session.open(wire);
    if (answer?.type !== "welcome") return undefined;
    await session.confirm(wire, answer.welcome);
    return session;
  }
}

const PINNED_DATA_BYTES = 512;
const CHUNK_BYTES = 65_536;
const FIRST_SKIPPABLE_TYPE = 0x80;

/**
 * So few bytes of a log in each chunk that the other end reads, the rest a frame that is skipped: whoever keeps views of what
 * was read keeps 128 times what it has given credit for. Until all credit is used up.
 */
export async function writePinned(
  wire: Wire,
  signal: AbortSignal,
  mostBytes: number,
  onWritten: (bytes: number) => void,
): Promise<void> {
  // One whole message each.
  const data = Buffer.alloc(PINNED_DATA_BYTES);
  data.writeUInt32BE(PINNED_DATA_BYTES - 4, 0);
  const skipped = Buffer.alloc(CHUNK_BYTES - 16 - PINNED_DATA_BYTES);
  skipped[0] = FIRST_SKIPPABLE_TYPE;
  skipped.writeUInt32BE(skipped.length - FRAME_HEADER_BYTES, 4);
  let at = 0;
  while (!signal.aborted && at + PINNED_DATA_BYTES <= mostBytes) {
    if (at + PINNED_DATA_BYTES > wire.limit) break;
    if (!(await wire.write(encodeDataHeader(at, PINNED_DATA_BYTES, 0), data, skipped))) break;
    at += PINNED_DATA_BYTES;
    onWritten(PINNED_DATA_BYTES);
  }
}
