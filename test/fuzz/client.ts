/** A client of our own hand, to do each step of a handshake rightly or wrongly. */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { FrameDecoder } from "../../src/core/wire/decoder.ts";
import { encodeConfirm, encodeHello, type Frame, type Hello, type Welcome } from "../../src/core/wire/frames.ts";
import {
  confirmMac,
  encodeProvenHello,
  newKeys,
  NO_INCARNATION,
  type SessionKeys,
} from "../../src/core/session/proof.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import { EVERY_FRAME } from "../core/support.ts";
import type { Draw } from "./draw.ts";

/** Longer than any deadline of the server's. */
const PATIENCE_MS = 15_000;

export class RawClient {
  readonly socket: net.Socket;
  /** Fulfils with how the connection came to an end. */
  readonly closed: Promise<"closed" | "stuck">;
  readonly #decoder = new FrameDecoder(EVERY_FRAME);
  readonly #frames: Frame[] = [];
  #wake: () => void = () => {};
  #over = false;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      this.#decoder.push(chunk, { onFrame: (frame) => void this.#frames.push(frame), onData: () => {} });
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      const timer = setTimeout(() => {
        resolve("stuck");
        socket.destroy();
      }, PATIENCE_MS);
      socket.once("close", () => {
        clearTimeout(timer);
        this.#over = true;
        this.#wake();
        resolve("closed");
      });
    });
  }

  /** From an address of its own: the ports of one are soon used up. */
  static async connect(port: number, localAddress: string, half: boolean): Promise<RawClient> {
    const client = new RawClient(net.connect({ port, host: "127.0.0.1", localAddress, allowHalfOpen: half }));
    await Promise.race([once(client.socket, "connect"), client.closed]);
    return client;
  }

  /** Goes on in TLS, on the same connection. Undefined if the server closed it. */
  async secure(): Promise<RawClient | undefined> {
    const secured = tls.connect({ socket: this.socket, rejectUnauthorized: false });
    const client = new RawClient(secured);
    const isReady = await Promise.race([
      once(secured, "secureConnect").then(() => true),
      client.closed.then(() => false),
    ]);
    return isReady ? client : undefined;
  }

  write(bytes: Buffer | string): void {
    if (!this.#over) this.socket.write(bytes);
  }

  /** The next frame; undefined when the connection is over. */
  async next(): Promise<Frame | undefined> {
    while (this.#frames.length === 0 && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#frames.shift();
  }

  /** Opens a session up to WELCOME. */
  async open(draw: Draw, change: (hello: Buffer) => Buffer = (hello) => hello): Promise<Opened | undefined> {
    const keys = newKeys(SYSTEM_ENTROPY);
    const hello = helloOf(keys, draw);
    this.write(change(encodeHello("hello", hello)));
    for (;;) {
      const frame = await this.next();
      if (frame === undefined || frame.type === "refuse") return undefined;
      if (frame.type === "welcome") return { keys, hello, welcome: frame.welcome };
    }
  }

  confirm({ keys, welcome }: Opened): void {
    this.write(encodeConfirm(confirmMac(SYSTEM_ENTROPY, keys, welcome.incarnation, welcome.nonce)));
  }

  /** FIN, RST or whatever Node does when nobody wants the socket any more. */
  leave(draw: Draw): void {
    const how = draw.below(3);
    if (how === 0) this.socket.end();
    // A TLS socket has no reset of its own.
    else if (how === 1 && !(this.socket instanceof tls.TLSSocket)) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }
}

export interface Opened {
  keys: SessionKeys;
  hello: Hello;
  welcome: Welcome;
}

export function helloOf(keys: SessionKeys, draw: Draw): Hello {
  return {
    version: 1,
    mode: "messages",
    resume: false,
    sessionId: keys.id,
    incarnation: NO_INCARNATION,
    generation: { epoch: 1, counter: 1 },
    instance: draw.bytes(16).toString("hex"),
    positions: { received: 0, accepted: 0, window: 65_536, stop: false, done: false },
    maxMessageBytes: 65_536,
    secretOrProof: Buffer.from(keys.secret, "latin1"),
    fallback: undefined,
    credentials: Buffer.alloc(0),
    openPayload: draw.bytes(draw.below(20)),
  };
}

/** A resume or standby of the session, by somebody who knows its secret, or by somebody who does not. */
export function comeBack(type: "hello" | "standby", { keys, hello, welcome }: Opened, secret: string): Buffer {
  const { incarnation } = welcome;
  const again: Hello = {
    ...hello,
    resume: true,
    sessionId: keys.id,
    incarnation,
    generation: { epoch: 1, counter: 2 },
    positions: { ...hello.positions },
  };
  return encodeProvenHello(SYSTEM_ENTROPY, type, again, secret);
}
