/**
 * One end of a durable session: its two halves, its flags and its phase. It outlives connections. Its holder decides
 * which connection may speak for it (`core/client/link-core.ts`, `core/server/takeover.ts`).
 */
import { type BlockPool, PREFIX_BYTES } from "../log/blocks.ts";
import { type Fault, fault } from "../wire/faults.ts";
import type { Mode, Positions } from "../wire/frames.ts";
import { NO_INCARNATION, type SessionKeys } from "./proof.ts";
import { memoryFor } from "../log/log.ts";
import { Receiver } from "../log/receiver.ts";
import { Sender } from "../log/sender.ts";
import { nextPhase, type SessionInput, type SessionPhase } from "../states.ts";
import { HELD_PER_BYTE } from "../log/unread.ts";
import { Account, Allowance, type Budget, type Flight } from "../log/window.ts";

/** The memory that all links of a manager or supervisor share. The two directions have separate budgets. */
export interface SharedMemory {
  windowBudget: Budget;
  logBudget: Budget;
  blocks: BlockPool;
}

export interface SessionLimits extends SharedMemory {
  mode: Mode;
  /** The largest message in either direction, in bytes of payload. */
  maxMessageBytes: number;
  /** The bytes that manual acceptance may leave unaccepted, on top of one message. */
  maxBatchBytes: number;
  window: { minBytes: number; maxBytes: number };
  /** Messages are persisted in an outbox: nothing is written before `persisted()` says so. Default false. */
  hasOutbox?: boolean;
  /** Acceptance is committed in a store: an ACK states no more than `committed()` has said. Default false. */
  hasStore?: boolean;
}

/** The least window of a byte stream, which needs no room for a whole message. */
const BYTE_MODE_FLOOR_BYTES = 65_536;
/**
 * The most that may be written and not accepted, but at least one message: it is sent again after a lost connection.
 */
const MOST_WRITTEN_BYTES = 8 * 1_048_576;

/** The most bytes that arrive between two acknowledgements. Not fewer, since each ACK is a system call at both ends. */
const MOST_UNSTATED_BYTES = 262_144;

/** The least window that lets every message of `maxMessageBytes` through. */
export function windowFloorBytes(limits: Pick<SessionLimits, "mode" | "maxMessageBytes" | "maxBatchBytes">): number {
  return largestBytes(limits) + limits.maxBatchBytes;
}

/** The size of the largest message, encoded. */
function largestBytes({ mode, maxMessageBytes }: Pick<SessionLimits, "mode" | "maxMessageBytes">): number {
  return mode === "messages" ? PREFIX_BYTES + maxMessageBytes : BYTE_MODE_FLOOR_BYTES;
}

/** The memory that a log may always hold: enough for one message of the largest size. */
function logFloorBytes(limits: Pick<SessionLimits, "mode" | "maxMessageBytes">, blockBytes?: number): number {
  return memoryFor(largestBytes(limits), blockBytes);
}

/**
 * The most that a session holds besides: the chunk that was read last, one that waits to be read, half of the one that
 * is being read (64 KiB each), 8 KiB of small pieces, 128 KiB that were written and wait in our process, its open
 * payload of 4 KiB, an identity of 4 KiB, and 10 KiB of objects.
 */
const SESSION_BYTES = 327_680;
/**
 * The V8 heap for the objects of a session, its link and its connection. 8 KiB were measured, when connected, at each
 * end.
 */
export const SESSION_HEAP_BYTES = 10_240;

/** The memory that each session may hold even if nothing is left to borrow. */
export function sessionFloorBytes(limits: Pick<SessionLimits, "mode" | "maxMessageBytes" | "maxBatchBytes">): number {
  return Math.ceil(windowFloorBytes(limits) * HELD_PER_BYTE) + logFloorBytes(limits) + SESSION_BYTES;
}

export class Session {
  readonly keys: SessionKeys;
  /** The server's random choice, stated at every resume; zeros until it is known. */
  incarnation: string = NO_INCARNATION;
  phase: SessionPhase = "live";
  sender: Sender;
  readonly receiver: Receiver;
  /** The peer reads nothing more: what it has accepted is final. */
  peerStopped = false;
  peerDone = false;
  /** An ACK that says `done` was written. */
  doneStated = false;
  /** "turn": an ACK goes out with the next write, or at the end of this turn. "later": within the ACK delay. */
  ackOwed: "nothing" | "later" | "turn" = "nothing";
  readonly windowAllowance: Allowance;
  readonly #firstWindowBytes: number;

  constructor(keys: SessionKeys, limits: SessionLimits) {
    this.keys = keys;
    const { mode, blocks, window, hasOutbox, hasStore } = limits;
    this.windowAllowance = new Allowance(windowFloorBytes(limits), window.maxBytes, limits.windowBudget);
    this.#firstWindowBytes = window.minBytes;
    const account = new Account(logFloorBytes(limits, blocks.blockBytes), limits.logBudget);
    this.sender = new Sender(mode, blocks, account, Math.max(MOST_WRITTEN_BYTES, largestBytes(limits)), hasOutbox);
    this.receiver = new Receiver(mode, limits.maxMessageBytes, this.windowAllowance, hasStore);
  }

  /** Our direction is complete: the peer has accepted its end, or reads no more. */
  get outDone(): boolean {
    return this.sender.endAcked || this.peerStopped;
  }

  /** The peer's direction is complete: its end is accepted, or we read no more. */
  get inDone(): boolean {
    return this.receiver.stopIsFinal || this.receiver.endAccepted;
  }

  /** A new session may replace this one, without reopening a direction that the peer or our consumer has closed. */
  get isReplaceable(): boolean {
    const { sender, receiver } = this;
    if (this.moved) return true;
    // A link that is closing needs a new session only for messages that were never sent.
    const isNeeded = !sender.ended || sender.queuedMessages > 0;
    return isNeeded && receiver.endKind === "none" && !this.peerStopped;
  }

  /** Nothing would be lost if the session vanished now: everything was accepted, though perhaps not the end. */
  get nothingToLose(): boolean {
    return this.inDone && this.sender.owedBytes === 0;
  }

  /**
   * Both directions ended by moving: the link goes on elsewhere. If our consumer reads no more, only to send what is
   * left, or is still to come.
   */
  get moved(): boolean {
    const { sender, receiver, peerStopped } = this;
    if (sender.endKind !== "moved" || receiver.endKind === "final" || (peerStopped && !sender.endAcked)) return false;
    return receiver.stopped ? !sender.ended || sender.queuedMessages > 0 : receiver.endKind === "moved";
  }

  /** The positions to state in a HELLO, WELCOME, ACK, COMMIT or COMMITTED that is written now. */
  positions(): Positions {
    return {
      received: this.receiver.received,
      accepted: this.receiver.committed,
      window: this.receiver.statedWindow(),
      stop: this.receiver.stopIsFinal,
      done: this.phase === "done",
    };
  }

  /**
   * A new connection takes over, and the peer has stated `peer` on it. `late`: acks on the old connection may have
   * overtaken the statement, as they do with COMMIT.
   */
  adopt(peer: Positions, late: boolean): Fault | undefined {
    const { sender } = this;
    if (peer.received > sender.highestSent) {
      return fault("impossible-position", `the peer received ${peer.received} of ${sender.highestSent} sent`);
    }
    if (peer.accepted < sender.acked && !late) return this.#unaccepted(peer);
    // The window grows only now: an unconfirmed session borrows nothing, and one without a connection borrows no more.
    if (!this.receiver.stopped) this.windowAllowance.growTo(this.#firstWindowBytes);
    this.receiver.restart();
    sender.restart(peer.received, peer.accepted + peer.window);
    this.#takeAcceptance(peer);
    this.ackOwed = "turn";
    return undefined;
  }

  /** What is accepted is accepted for good: we have forgotten those bytes. */
  #unaccepted({ received, accepted }: Positions): Fault {
    const { acked } = this.sender;
    return fault("impossible-position", `the peer received ${received}, accepted ${accepted}, and before ${acked}`);
  }

  /** An ACK on the connection in use. Answers whether the peer's `received` went up. */
  onAck(peer: Positions): Fault | boolean {
    const { sender } = this;
    if (peer.received > sender.highestSent) {
      return fault("impossible-position", `the peer acknowledges ${peer.received} of ${sender.highestSent} sent`);
    }
    if (peer.accepted < sender.acked) return this.#unaccepted(peer);
    // Only from one connection to the next may a peer forget what it has received: a resume sends that again.
    if (peer.received < sender.peerReceived) {
      return fault("bad-frame", `the peer received ${peer.received}, and ${sender.peerReceived} before`);
    }
    const progress = peer.received > sender.peerReceived;
    if (progress) sender.peerReceived = peer.received;
    sender.limit = Math.max(sender.limit, peer.accepted + peer.window);
    this.#takeAcceptance(peer);
    return progress;
  }

  #takeAcceptance(peer: Positions): void {
    this.sender.onAccepted(peer.accepted);
    if (peer.stop) this.peerStopped = true;
    if (peer.done) this.peerDone = true;
  }

  onData(offset: number, bytes: Buffer, flags: number): Fault | undefined {
    const { receiver } = this;
    const isNew = offset + bytes.length > receiver.received;
    const problem = receiver.onData(offset, bytes, flags);
    if (problem !== undefined) return problem;
    // Acknowledge in this turn if the peer sends bytes that are here already, or waits for acceptance, or much has
    // arrived.
    if (!isNew || flags !== 0 || receiver.unstatedBytes >= MOST_UNSTATED_BYTES) this.ackOwed = "turn";
    else if (this.ackOwed === "nothing") this.ackOwed = "later";
    return undefined;
  }

  /**
   * As `onData()`, for bytes that the consumer is handed at once: see `Receiver.pass()`. Answers whether they were taken.
   */
  pass(offset: number, bytes: number): boolean {
    const { phase, receiver } = this;
    if (phase !== "live" || receiver.unstatedBytes + bytes >= MOST_UNSTATED_BYTES) return false;
    if (!receiver.pass(offset, bytes)) return false;
    if (this.ackOwed === "nothing") this.ackOwed = "later";
    return true;
  }

  /** The application accepts everything up to `position`. */
  accept(position: number): void {
    this.#oweAck(this.receiver.accept(position));
  }

  /** The store has our acceptance up to `to`. */
  committed(to: number): void {
    this.#oweAck(this.receiver.onCommitted(to));
  }

  #oweAck(urgency: "urgent" | "later" | "nothing"): void {
    if (urgency === "urgent") this.ackOwed = "turn";
    else if (urgency === "later" && this.ackOwed === "nothing") this.ackOwed = "later";
  }

  stopReading(): void {
    // After an accepted end no more bytes can arrive that would have to be refused.
    if (this.receiver.stopped || this.receiver.endAccepted) return;
    this.receiver.stop();
    this.ackOwed = "turn";
  }

  loseConnection(): void {
    this.receiver.loseConnection();
    this.ackOwed = "nothing";
  }

  /** Bytes of DATA that may leave now. */
  mayWrite(flight: Flight): boolean {
    return this.phase === "live" && !this.peerStopped && this.sender.hasSomethingToWrite(flight);
  }

  write(out: Buffer[], maxBytes: number, flight: Flight, nowMs: number): number {
    if (this.phase !== "live" || this.peerStopped) return 0;
    return this.sender.write(out, maxBytes, flight, nowMs);
  }

  /** Throws where the phase has no such transition. */
  to(input: SessionInput): void {
    this.phase = nextPhase(this.phase, input);
  }

  /** Makes the session a tombstone if both directions are complete. Answers true when that happens, once. */
  checkThrough(): boolean {
    if (this.phase !== "live" || !this.outDone || !this.inDone) return false;
    this.to("through");
    this.ackOwed = "turn";
    return true;
  }

  /** Frees the memory of a session whose application was told the outcome. */
  release(): void {
    this.receiver.stop();
    this.sender.log.clear();
  }
}
