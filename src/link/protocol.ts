/**
 * What the machinery of a link asks of the protocol that its connections speak. The queue and those who wait for room see an
 * `Outbound`, the consumers an `Inbound`, the driver and the engine all of a `Protocol`. The durable protocol is `LinkCore`
 * and what extends it, which cannot name these types: the core imports nothing from here.
 *
 * A protocol is driven: after each call the driver takes its `events`, writes what `transmit()` answers, and sets its timer
 * to `nextTimeoutMs`.
 *
 * Positions are numbers that grow with what is taken, or handed out. They count within a `session`: another one begins anew,
 * and an event "replaced" says what became of what was taken.
 */
import type { Keep } from "../core/log/unread.ts";
import type { Account } from "../core/log/window.ts";
import type { LinkCoreEvent, Outcome } from "../core/session/link-events.ts";
import type { Mode, ResetCode } from "../core/wire/frames.ts";

export type ProtocolEvent = LinkCoreEvent;

/** Both directions. */
interface Directions {
  /** In "bytes" a message is a chunk of a stream. */
  readonly mode: Mode;
  /** The connection that speaks for the link. */
  readonly adopted: { readonly id: number } | undefined;
  /** The application was told how the link has ended. */
  readonly ended: boolean;
}

export interface Outbound extends Directions {
  /** Of payload: the largest message that both ends take. */
  readonly maxMessageBytes: number;
  /** What a message takes of the room besides its payload. */
  readonly overheadBytes: number;
  /** There is room for a message of so many bytes of payload. */
  hasRoom(payloadBytes: number): boolean;
  /** So many messages, and so many bytes, surely have room. */
  readonly roomMessages: number;
  readonly roomBytes: number;
  /** An account for sends that wait for room, which share the budget of what is sent. */
  newAccount(): Account;
  /**
   * The caller has checked `sendingEnded`, `maxMessageBytes` and `hasRoom()`. `given`: the payload never changes any more, and
   * need not be copied.
   */
  take(payload: Uint8Array | string, payloadBytes: number, given: boolean): void;
  /** Where everything that was taken ends. */
  readonly takenTo: number;
  /** The peer has accepted everything below. Looked at before `transmit()`: only what comes in moves it. */
  readonly acceptedTo: number;
  /** What was taken and never written. */
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  /** The peer is asked to say at once when it has accepted what was taken until now. */
  askForAck(): void;
  /** Ends this direction after what was taken. */
  end(): void;
  /** This direction was ended here. */
  readonly outputEnded: boolean;
  /** Nothing is taken any more, for whatever reason. */
  readonly sendingEnded: boolean;
  /** The peer reads nothing more: what it has accepted is final. */
  readonly peerStopped: boolean;
  /** Nothing more will come of this direction: the peer has accepted its end, or reads nothing more. */
  readonly outputDone: boolean;
  /** Of what was taken, so much is still to be delivered before that end. */
  readonly owedBytes: number;
}

export interface Inbound extends Directions {
  /** Stands for what positions count in. */
  readonly session: object;
  /** Something waits to be handed out, if perhaps not a whole message. */
  readonly hasUnread: boolean;
  readonly readableBytes: number;
  /** The next message; undefined if none is here. `keep` is told of memory in which others may lie. */
  next(keep: Keep): Buffer | undefined;
  /**
   * Hands out message after message, each with the position where it ends, until `hand` answers false, and about `most` of
   * them. Answers whether more is here, and it has stopped for `most`.
   */
  handOut(hand: (message: Buffer, end: number) => boolean, keep: Keep, most: number): boolean;
  /** Where the message that was handed out last ends. */
  readonly handedTo: number;
  /** The consumer has accepted everything below `position`: what of it was not handed out is skipped. */
  accept(position: number): void;
  /** It has accepted all that was handed out, but for so many bytes. Answers whether that was news. */
  acceptHanded(exceptBytes: number): boolean;
  /** Our consumer has accepted everything below. */
  readonly consumedTo: number;
  /** What has arrived and our consumer has not accepted, handed out or not. */
  readonly unacceptedBytes: number;
  /** The peer can send no more until our consumer accepts something. */
  readonly isFull: boolean;
  readonly windowBytes: number;
  /** The peer has ended its direction, and everything before was handed out. */
  readonly inputEnded: boolean;
  /** And everything before was accepted. */
  readonly inputAccepted: boolean;
  /** It has ended to go on elsewhere. */
  readonly inputMoves: boolean;
  /** No consumer will read any more: what arrives is not accepted. */
  stopReading(): void;
  readonly readingStopped: boolean;
}

export interface Protocol extends Outbound, Inbound {
  /** For logs and applications; "" where there is no session. */
  readonly sessionId: string;
  /** To be taken out, all of them, after each call. */
  readonly events: ProtocolEvent[];
  /** On the monotonic clock; Infinity if nothing is due. A tick that comes early does no harm. */
  readonly nextTimeoutMs: number;
  tick(nowMs: number): void;
  /** At the end of the turn of the event loop `endTurn()` is to be called. */
  readonly awaitsEndOfTurn: boolean;
  /** Everything that has arrived in this turn was looked at. Answers whether there is anything to write for it. */
  endTurn(): boolean;
  /** Of what was transmitted on the connection in use all but so many bytes is written: its memory may be used again. */
  recycle(pendingBytes: number): void;
  /** Ends both directions at both ends. `reason` is the application's code for the peer. */
  reset(code: ResetCode, reason: string, outcome: Outcome, nowMs: number): void;
  /** Ends the link, and tells the peer nothing. */
  abandon(outcome: Outcome): void;
  /** Smoothed, of the connection in use. */
  readonly rttMs: number | undefined;
  /** What the peer has accepted since the start, in payloads. */
  accepted(): { messages: number; bytes: number };
}

/** Where a connection's bytes come in and go out: the protocol of a client's link, or the core of the whole server. */
export interface ChannelIo {
  receive(id: number, chunk: Buffer, nowMs: number): void;
  connectionClosed(id: number, reason: string, nowMs: number): void;
  /** What the connection is to write now, at most about `roomBytes`; empty if nothing. */
  transmit(id: number, roomBytes: number, nowMs: number): Buffer[];
}
