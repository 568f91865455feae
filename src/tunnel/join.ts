/**
 * A TCP connection joined with a carrier, exact in both directions: an end is an end, a reset is a reset, and a link that
 * failed is a reset, never an end. Each direction ends by itself, and the other goes on for as long as it wants.
 */
import type { Socket } from "node:net";
import { codeOf } from "../core/foreign.ts";
import { resetSocket } from "../io/reset.ts";
import type { LinkReport } from "../index.ts";
import { ignoreError } from "../io/connection.ts";
import type { Timer } from "../link/ports.ts";
import type { Carrier, Survived } from "./carrier.ts";
import { LentMemory } from "./lent-memory.ts";
import { countRead } from "./read-bytes.ts";
import { readInto } from "./read-memory.ts";
import { HEAD_BYTES, record, RECORD, RecordError } from "./records.ts";

/** How a connection ended, for the log. */
export interface Ending {
  /** Both directions ended in order. */
  readonly isWhole: boolean;
  readonly reason: string;
  /** Bytes from the socket, and to it. */
  readonly fromSocket: number;
  readonly toSocket: number;
  readonly ms: number;
  readonly survived: Survived;
}

export interface JoinOwner {
  /** Called once. If the connection did not end in order, the socket is reset and the link aborted by then. */
  onJoinEnded(ending: Ending): void;
}

/** Of what the peer has sent, so much may wait until the socket takes it. */
const MOST_WAITING_BYTES = 262_144;
const NOTHING = Buffer.alloc(0);
/** A socket that is held up is not read, and so does not notice a reset: it is looked at so often. */
const LOOK_MS = 10_000;

/** The property in which a socket keeps its connection. */
const JOIN: unique symbol = Symbol("join");

export class Join {
  readonly #socket: JoinedSocket;
  readonly #carrier: Carrier;
  readonly #owner: JoinOwner;
  readonly #sinceMs: number;
  #fromSocket = 0;
  #toSocket = 0;
  /** The socket has ended its direction, and the carrier was told. */
  #hasEnded = false;
  /** The peer has ended its direction, and the socket was told. */
  #peerHasEnded = false;
  #isOver = false;
  readonly #memory = new LentMemory();
  /** Nothing is here behind what the socket was given last. */
  #isLast = true;
  #isCorked = false;
  /** The socket has taken as much as it keeps; called when it takes more, or is closed. */
  #onDrain: (() => void) | undefined;
  #error: Error | undefined;
  /** The link takes no more for now, and the socket is not read. */
  #isHeldUp = false;
  /** Runs from when the socket is held up, until it is looked at and is not held up any more. */
  #look: Timer | undefined;

  constructor(socket: Socket, carrier: Carrier, owner: JoinOwner) {
    this.#socket = Object.assign(socket, { [JOIN]: this });
    this.#carrier = carrier;
    this.#sinceMs = carrier.clock.now();
    this.#owner = owner;
    carrier.beginCounting();
    // One listener is enough, and takes less memory than two.
    socket.on("error", onError).off("error", ignoreError);
    socket.on("drain", onDrained).on("close", onClose);
  }

  /** Reads from the socket. */
  start(): void {
    const socket = this.#socket;
    if (!readInto(socket, takeCopy)) socket.on("data", onData);
    socket.on("end", onEnd);
  }

  inputEnded(): void {
    if (this.#isOver) return;
    this.#hasEnded = true;
    this.#carrier.send(record(RECORD.end));
  }

  take(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#fromSocket += chunk.length;
    countRead(chunk.length, this.#carrier.clock);
    if (!this.#carrier.sendData(chunk)) this.#holdUp();
  }

  /** As `take()`, of what stands in `memory` from HEAD_BYTES to before `to`. */
  takeCopy(memory: Buffer, to: number): void {
    if (this.#isOver) return;
    this.#fromSocket += to - HEAD_BYTES;
    if (!this.#carrier.sendCopy(memory, to)) this.#holdUp();
  }

  #holdUp(): void {
    this.#isHeldUp = true;
    this.#socket.pause();
    this.#carrier.whenRoom(() => {
      this.#isHeldUp = false;
      this.#socket.resume();
    });
    if (this.#look === undefined) this.#lookLater();
  }

  #lookLater(): void {
    const { clock } = this.#carrier;
    this.#look = clock.timer(() => {
      this.#look = undefined;
      if (!this.#isHeldUp) return;
      // Writing nothing fails if the socket was reset. What waits to be written finds out by itself.
      if (!this.#socket.writableEnded && this.#socket.writableLength === 0) this.#socket.write(NOTHING);
      this.#lookLater();
    });
    this.#look.set(clock.now() + LOOK_MS);
  }

  /** Bytes for the socket; `isFollowed`: more is here behind them. The promise says when it takes more. Throws RecordError. */
  write(part: Buffer, isFollowed: boolean): void | Promise<void> {
    if (this.#peerHasEnded) throw new RecordError("DATA behind END");
    if (this.#isOver) return undefined;
    const socket = this.#socket;
    this.#toSocket += part.length;
    this.#isLast = !isFollowed && this.#carrier.link.readableLength === 0;
    if (!this.#isLast) this.#cork();
    const isTaken = socket.write(part);
    // Behind the write: to ask a Buffer for its memory is slow.
    this.#memory.use(part.buffer);
    if (this.#isLast) this.#writeOut();
    if (isTaken || socket.writableLength < MOST_WAITING_BYTES || socket.destroyed) return undefined;
    return new Promise((resolve) => {
      this.#onDrain = resolve;
    });
  }

  /** What has come together goes to the kernel in one call; what is to come may not be handed out in this turn. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    this.#carrier.clock.defer(Join.#endTurn, this);
  }

  static #endTurn(this: void, join: Join): void {
    if (join.#isCorked) join.#writeOut();
  }

  #writeOut(): void {
    if (this.#isCorked) this.#socket.uncork();
    this.#isCorked = false;
    this.#freeWritten();
  }

  #freeWritten(): void {
    const socket = this.#socket;
    if (socket.writableLength === 0) this.#memory.written(this.#isLast);
    // Nobody says when the rest is written, and an idle connection is to keep no memory.
    else if (this.#isLast && !socket.writableNeedDrain) this.#memory.forget();
  }

  drained(): void {
    this.#freeWritten();
    const onDrain = this.#onDrain;
    this.#onDrain = undefined;
    onDrain?.();
  }

  /** The peer has ended its direction. Throws RecordError. */
  end(): void {
    if (this.#peerHasEnded) throw new RecordError("a second END");
    this.#peerHasEnded = true;
    this.#socket.end();
    // More than the last bytes may lie in their memory, which is not freed here: what tells of the end does.
    this.#memory.forget();
  }

  failed(error: Error): void {
    this.#error = error;
  }

  closed(): void {
    // Whoever destroys the socket before it has written all has cut the connection short.
    if (this.haveBothEnded && this.#socket.writableFinished && this.#error === undefined) {
      this.#over(true, "ended in order");
    } else {
      const code = this.#error === undefined ? "closed" : (codeOf(this.#error) ?? "failed");
      this.fail(code === "ECONNRESET" || code === "EPIPE" ? "reset" : code);
    }
  }

  /** The socket has ended its direction. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get haveBothEnded(): boolean {
    return this.#hasEnded && this.#peerHasEnded;
  }

  /** The connection is over before it was one; what becomes of the socket and the link is for the caller to say. */
  refuse(reason: string): void {
    this.#over(false, reason);
  }

  /** Ends the connection: the socket is reset, and the link aborted with the reason, unless it has ended already. */
  fail(reason: string): void {
    if (this.#isOver) return;
    this.#over(false, reason);
    reset(this.#socket);
    this.#carrier.abort(codeText(reason));
  }

  /** The link has ended. */
  linkEnded(report: LinkReport): void {
    if (this.#isOver) return;
    this.#over(false, whyLinkEnded(report));
    reset(this.#socket);
  }

  #over(isWhole: boolean, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isHeldUp = false;
    this.#look?.clear();
    this.drained();
    this.#owner.onJoinEnded({
      isWhole,
      reason,
      fromSocket: this.#fromSocket,
      toSocket: this.#toSocket,
      ms: this.#carrier.clock.now() - this.#sinceMs,
      survived: this.#carrier.survived,
    });
  }
}

/** All sockets share the same listeners: they find the connection in the socket. */
type JoinedSocket = Socket & { [JOIN]: Join };

function onError(this: JoinedSocket, error: Error): void {
  this[JOIN].failed(error);
}

function onDrained(this: JoinedSocket): void {
  this[JOIN].drained();
}

function onClose(this: JoinedSocket): void {
  this[JOIN].closed();
}

function onData(this: JoinedSocket, chunk: Buffer): void {
  this[JOIN].take(chunk);
}

function takeCopy(socket: Socket, memory: Buffer, to: number): void {
  (socket as JoinedSocket)[JOIN].takeCopy(memory, to);
}

function onEnd(this: JoinedSocket): void {
  this[JOIN].inputEnded();
}

/** Why the link has ended before the connection that it carried. Where the peer gave a reason, that is the reason. */
export function whyLinkEnded({ error }: LinkReport): string {
  if (error === undefined) return "the link was closed";
  const { code, message, peerCode } = error;
  return code === "PEER_ABORTED" && peerCode !== undefined && peerCode !== "" ? `the other end: ${peerCode}` : message;
}

/** A code of abort() has at most 64 bytes. */
function codeText(reason: string): string {
  return Buffer.from(reason).subarray(0, 64).toString("latin1");
}

/** Closes the socket with a reset; one of a Unix socket, which has none, is closed. */
export function reset(socket: Socket): void {
  socket.on("error", ignoreError);
  if (socket.destroyed) return;
  if (socket.remoteAddress === undefined && socket.localAddress === undefined) socket.destroy();
  else resetSocket(socket);
}
