/** A link that carries TCP connections, one after another: records in both directions, and the time without a path. */
import { type Link, type LinkReport, type LinkState, RespliceError } from "../index.ts";
import { lend, sendNow, sendPiece, tellClosed } from "../link/forwarding.ts";
import { writeUint32 } from "../core/wire/bytes.ts";
import type { Clock } from "../link/ports.ts";
import { keep, type KeptChunk, letGo } from "./kept-chunks.ts";
import { dataHead, dataRecord, HEAD_BYTES, RecordError, type RecordHandler, RecordReader } from "./records.ts";

/** The link copies smaller messages anyway. */
const COPIED_BELOW = 8_192;
const SCRATCH = Buffer.allocUnsafeSlow(HEAD_BYTES + COPIED_BELOW);

/** What waits for room on the link. */
interface Waiting {
  readonly bytes: Buffer;
  /** The memory is for others as soon as the link has copied it. Undefined: the link may keep it. */
  readonly kept?: KeptChunk;
}

/** Shared: most links take all at once. */
const NOTHING: Waiting[] = [];

/** What a carrier reads is for, and how its link is. */
export interface CarrierOwner extends RecordHandler {
  onState?(to: LinkState): void;
  /** The link has ended. */
  onClosed(report: LinkReport): void;
}

/** How the path was, since the connection began. */
export interface Survived {
  /** How many times the link was connected again. */
  readonly reconnects: number;
  /** Milliseconds without a connection, or with one that was suspect. */
  readonly ms: number;
}

export class Carrier {
  readonly link: Link;
  readonly clock: Clock;
  /** What waits for room on the link: at most one chunk of a socket, and records beside DATA. */
  #waiting: Waiting[] = NOTHING;
  #isWaiting = false;
  #owner: CarrierOwner | undefined;
  #onRoom: (() => void) | undefined;
  #reconnects = 0;
  #awayMs = 0;
  #awaySinceMs: number | undefined;

  constructor(link: Link, clock: Clock) {
    this.link = link;
    this.clock = clock;
    link.on("state", (change) => {
      const { from, to } = change;
      const isAway = to !== "connected" && to !== "draining" && to !== "closed";
      if (isAway) this.#awaySinceMs ??= this.clock.now();
      else this.#back();
      if (to === "connected" && from !== "suspect" && change.session === "resumed") this.#reconnects++;
      this.#owner?.onState?.(to);
    });
  }

  #back(): void {
    if (this.#awaySinceMs === undefined) return;
    this.#awayMs += this.clock.now() - this.#awaySinceMs;
    this.#awaySinceMs = undefined;
  }

  /** A connection begins: the counts are its own. */
  beginCounting(): void {
    this.#reconnects = 0;
    this.#awayMs = 0;
    if (this.#awaySinceMs !== undefined) this.#awaySinceMs = this.clock.now();
  }

  get survived(): Survived {
    const openMs = this.#awaySinceMs === undefined ? 0 : this.clock.now() - this.#awaySinceMs;
    return { reconnects: this.#reconnects, ms: this.#awayMs + openMs };
  }

  /** Reads records from now on. A handler that throws or rejects ends the link. */
  read(owner: CarrierOwner): void {
    this.#owner = owner;
    tellClosed(this.link, owner);
    const reader = new RecordReader(owner);
    lend(this.link, (bytes) => {
      try {
        const waiting = reader.push(bytes);
        return waiting?.catch((error: unknown) => this.#broken(error));
      } catch (error) {
        return this.#broken(error);
      }
    });
  }

  #broken(error: unknown): void {
    if (!(error instanceof RecordError)) throw error;
    this.abort("tunnel-record");
  }

  /** Sends a record behind everything before it. */
  send(whole: Buffer): void {
    this.#push({ bytes: whole });
  }

  #push(waiting: Waiting): void {
    if (this.#waiting === NOTHING) this.#waiting = [waiting];
    else this.#waiting.push(waiting);
    if (!this.#isWaiting) this.#flush();
  }

  /** Resolves when the link has taken all that was sent. Rejects when it takes no more. */
  async taken(): Promise<void> {
    while (this.#isWaiting) await this.link.ready();
  }

  /** Sends a chunk of the connection, whose memory it keeps. false: there is no room for more, see `whenRoom()`. */
  sendData(chunk: Buffer): boolean {
    const { length } = chunk;
    if (this.#sendPiece(chunk, 0, length)) return true;
    if (length < COPIED_BELOW) {
      SCRATCH.set(chunk, HEAD_BYTES);
      return this.#sendCopy(SCRATCH, HEAD_BYTES + length);
    }
    for (const part of dataRecord(chunk)) this.send(part);
    return !this.#isWaiting;
  }

  /** As `sendData()`, of what stands in `memory` from HEAD_BYTES to before `to`. The memory stays the caller's. */
  sendCopy(memory: Buffer, to: number): boolean {
    return this.#sendPiece(memory, HEAD_BYTES, to) || this.#sendCopy(memory, to);
  }

  #sendPiece(memory: Buffer, from: number, to: number): boolean {
    return !this.#isWaiting && sendPiece(this.link, dataHead(to - from), memory, from, to);
  }

  #sendCopy(memory: Buffer, to: number): boolean {
    const headAndBytes = memory.subarray(0, to);
    writeUint32(headAndBytes, 0, dataHead(to - HEAD_BYTES));
    try {
      if (!this.#isWaiting && sendNow(this.link, headAndBytes)) return true;
    } catch (error) {
      this.#over(error);
      return true;
    }
    const kept = keep(headAndBytes);
    this.#push({ bytes: kept.bytes, kept });
    return !this.#isWaiting;
  }

  /** `run` is called, once, when all that was sent is on the link. Not if the link takes no more. */
  whenRoom(run: () => void): void {
    this.#onRoom = run;
  }

  #flush(): void {
    this.#isWaiting = false;
    try {
      for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
        const { bytes, kept } = first;
        if (!this.link.trySend(bytes, { transfer: kept === undefined && bytes.length >= COPIED_BELOW })) {
          this.#isWaiting = true;
          break;
        }
        this.#waiting.shift();
        if (kept !== undefined) letGo(kept);
      }
    } catch (error) {
      return this.#over(error);
    }
    if (this.#isWaiting) {
      this.link.ready().then(
        () => this.#flush(),
        (error: unknown) => this.#over(error),
      );
      return;
    }
    this.#waiting = NOTHING;
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
  }

  /** The link takes no more: what it ended with is in its report. */
  #over(error: unknown): void {
    if (!(error instanceof RespliceError)) throw error;
    this.#waiting = NOTHING;
    this.#onRoom = undefined;
  }

  abort(code: string): void {
    this.link.abort(code);
  }

  /** Ends a link that carries nothing, when the peer has all that was sent on it: the end of a connection, perhaps. */
  finish(code: string): void {
    if (this.#isWaiting) this.whenRoom(() => this.finish(code));
    else if (this.link.writableLength === 0) this.abort(code);
    else this.link.end();
  }
}
