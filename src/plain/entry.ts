/** A message that is sent, and the ticket of a call that waits for it. */
import type { Ticket } from "../core/session/tickets.ts";
import { Stored } from "./storage.ts";

/** Counted for each message besides its payload, where many are kept: more than a small one takes besides its bytes. */
export const ENTRY_BYTES = 100;

const NO_NUMBER = -1;

/** A message. */
export class Entry extends Stored {
  number: number = NO_NUMBER;
  /** Its bytes, or some of them, were given to a kernel, perhaps on an earlier connection. */
  wasWritten = false;
  /** Its fate is known, or it was reported. */
  isSettled = false;
  /** The peer is to answer it. */
  isAnswered: boolean = false;
  /** The message is for the connection in use, and is written on no other. */
  isBound = false;
  writtenMs = 0;
  ticket: PlainTicket | undefined;
  /** The parts of its answer that have arrived. */
  parts: Buffer[] | undefined;
  partsBytes = 0;

  /** The object of a message that is settled becomes another message, whose number is set when it is taken. */
  begin(needsId: boolean): void {
    this.needsId = needsId;
    this.wasWritten = this.isSettled = this.isBound = false;
    this.id = undefined;
    this.payloadBytes = this.partsBytes = 0;
  }
}

/** Decides about messages that have objects while they are written. */
export interface Gate {
  /** The message may be written now. If not, it and all behind it wait. */
  mayWrite(entry: Entry): boolean;
  onWritten(entry: Entry): void;
  /** A message that is written in several parts is written whole. */
  onWhole(entry: Entry): void;
}

/**
 * "message": the answer to one message, or the proof that it was received. "request": the same, and the caller wants
 * the answer itself. "everything": the kernel has all messages below `number`.
 */
export interface PlainTicket extends Ticket {
  readonly kind: "message" | "request" | "everything";
  readonly number: number;
  /** Undefined once nobody waits. */
  entry: Entry | undefined;
}
