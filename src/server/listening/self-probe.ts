/**
 * Whether a listener accepts: it is dialled from the process itself. An accept loop may be dead, or turn in vain,
 * without any event of the net.Server (node#45242). The connection tells itself from those of clients by its first
 * bytes, which nobody else knows; sockets that are accepted meanwhile are held until it is found, which takes some turns
 * of the event loop.
 */
import net from "node:net";
import { ignoreError } from "../../io/connection.ts";
import { destroy } from "../../io/destroy.ts";
import { SYSTEM_ENTROPY } from "../../io/entropy.ts";
import type { Clock, Timer } from "../../link/ports.ts";

/** A listener that accepts does so in the next turns. As long as others are accepted, this begins again. */
const ACCEPTS_WITHIN_MS = 2_000;
/** In a row: a miss may have a reason that nobody knows. */
const MISSES = 2;
const TOKEN_BYTES = 16;
/** Sockets that are held at once. A listener that has accepted so many does accept: the probe is over. */
const MOST_HELD = 64;

/** `untold`: neither; no descriptor was left for the connection, for example. */
export type ProbeResult = "accepts" | "untold" | { dead: string };

/** Nobody listens there, or there is no room in its backlog. */
const MISSED = new Set(["ECONNREFUSED", "ENOENT", "EAGAIN"]);

export interface SelfProbeTerms {
  readonly clock: Clock;
  readonly to: net.NetConnectOpts;
  /** How many sockets the listener has accepted so far, those that are held included. */
  accepted(): number;
  /** Called once, unless the probe is stopped before. */
  onResult(result: ProbeResult): void;
}

export class SelfProbe {
  readonly #terms: SelfProbeTerms;
  readonly #timer: Timer;
  readonly #token: Buffer = SYSTEM_ENTROPY.randomBytes(TOKEN_BYTES);
  readonly #held = new Set<Held>();
  #dialled: net.Socket | undefined;
  #acceptedBefore = 0;
  #misses = 0;
  #isOver = false;

  constructor(terms: SelfProbeTerms) {
    this.#terms = terms;
    this.#timer = terms.clock.timer(() => this.#onLate());
  }

  start(): void {
    this.#wait();
    this.#dial();
  }

  #wait(): void {
    this.#acceptedBefore = this.#terms.accepted();
    this.#timer.set(this.#terms.clock.now() + ACCEPTS_WITHIN_MS);
  }

  #dial(): void {
    const dialled = net.connect(this.#terms.to);
    this.#dialled = dialled;
    let code = "";
    dialled.on("error", (error: NodeJS.ErrnoException) => {
      code = error.code ?? "";
    });
    dialled.on("connect", () => void dialled.write(this.#token));
    dialled.on("close", () => {
      if (this.#dialled === dialled) this.#onClosed(code);
    });
    dialled.resume();
  }

  /** A socket that was accepted. `pass` is called for it, at once or later, unless it is the probe's. */
  inspect(socket: net.Socket, pass: () => void): void {
    if (this.#isOther(socket)) return pass();
    // The probe's own connection may be accepted after these, as a client that has gone.
    if (this.#held.size >= MOST_HELD) this.#end("accepts");
    if (this.#isOver) return pass();
    const held = new Held(socket, pass, (first) => {
      this.#held.delete(held);
      if (!first.equals(this.#token)) return false;
      destroy(socket);
      this.#end("accepts");
      return true;
    });
    this.#held.add(held);
  }

  /** Comes from another port than the probe. A Unix socket has none. */
  #isOther({ remotePort }: net.Socket): boolean {
    const localPort = this.#dialled?.localPort;
    return localPort !== undefined && localPort > 0 && remotePort !== localPort;
  }

  /** Without a result. Lets those in that are held. */
  stop(): void {
    this.#isOver = true;
    this.#timer.clear();
    this.#dialled?.destroy();
    this.#dialled = undefined;
    this.#letGo();
  }

  #letGo(): void {
    for (const held of this.#held) held.release();
    this.#held.clear();
  }

  #end(result: ProbeResult): void {
    if (this.#isOver) return;
    this.stop();
    this.#terms.onResult(result);
  }

  /** The connection was not accepted, or was closed by whoever has accepted it: Node does so if the table is full. */
  #onClosed(code: string): void {
    if (!MISSED.has(code)) this.#end("untold");
    // Its backlog was full for this moment.
    else if (this.#terms.accepted() > this.#acceptedBefore) this.#end("accepts");
    else if (++this.#misses < MISSES) this.#dial();
    else this.#end({ dead: code });
  }

  /**
   * The connection goes on waiting: another would be accepted after it, when nobody looks for it any more. Clients do
   * not wait for it any longer.
   */
  #onLate(): void {
    this.#letGo();
    const accepted = this.#terms.accepted();
    if (accepted > this.#acceptedBefore) this.#misses = 0;
    else if (++this.#misses >= MISSES) return this.#end({ dead: "the connection of a probe waits" });
    this.#wait();
  }
}

/** A socket whose first bytes are awaited. It can be used as if it had just been accepted when it is let go. */
class Held {
  readonly #socket: net.Socket;
  readonly #pass: () => void;
  readonly #isProbe: (first: Buffer) => boolean;

  constructor(socket: net.Socket, pass: () => void, isProbe: (first: Buffer) => boolean) {
    this.#socket = socket;
    this.#pass = pass;
    this.#isProbe = isProbe;
    socket.on("readable", this.#onReadable);
    socket.on("error", ignoreError);
  }

  readonly #onReadable = (): void => {
    if (this.#socket.readableLength < TOKEN_BYTES) return;
    const first = this.#socket.read(TOKEN_BYTES) as Buffer;
    if (this.#isProbe(first)) return;
    this.#socket.unshift(first);
    this.release();
  };

  release(): void {
    const socket = this.#socket;
    socket.off("readable", this.#onReadable);
    // One that has ended without a word has told so to nobody: its client was not there.
    if (socket.destroyed || socket.readableEnded) return void socket.destroy();
    socket.off("error", ignoreError);
    this.#pass();
  }
}
