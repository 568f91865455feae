/**
 * The interface between the machinery of a link and the protocol that its connections speak. The queue and the senders
 * that wait for room see an `Outbound`, the consumers an `Inbound`, the driver and the engine a whole `Protocol`.
 * `LinkCore` and its subclasses implement the durable protocol; they cannot name these types, since the core imports
 * nothing from here.
 *
 * A protocol is driven: after each call the driver takes its `events`, writes what `transmit()` answers, and sets its
 * timer to `nextTimeoutMs`.
 *
 * A message that was taken has no position here: with a queue before its log, the protocol does not know one yet. A
 * call that waits for a message's acceptance holds a `Ticket`. Messages that are received have positions, which grow as
 * they are handed out, and count within a `session`. A new session begins anew.
 */
import type { Keep } from "../core/log/unread.ts";
import type { Account } from "../core/log/window.ts";
import type { LinkCoreEvent, Outcome } from "../core/session/link-events.ts";
import type { Undelivered } from "../core/session/tickets.ts";
import type { Mode, ResetCode } from "../core/wire/frames.ts";

/**
 * "replaced", "connection-lost" and "ended" say what became of the messages that were taken and not accepted. Each of
 * their tickets goes on, or is among those that are lost.
 */
export type ProtocolEvent = LinkCoreEvent | PlainEvent;

/** The events that only a protocol without a session has. */
export type PlainEvent =
  /**
   * A connection is lost, and the link goes on: these messages were written on it, and nobody can say whether they
   * arrived.
   */
  | ({ type: "connection-lost" } & Undelivered)
  /**
   * The answer to a request. `parts`: all messages of the answer, in order. Most answers are one message; the parts
   * before the last are those that `classify()` called "more".
   */
  | { type: "answered"; ticket: Ticket; parts: readonly Buffer[] }
  /** A message, or raw bytes that were asked for, has arrived on a connection that is still logging in. */
  | { type: "login-message"; channel: number; message: Buffer }
  /**
   * The link's only connection is over, for which the link ends as `outcome` says when its consumer has everything that
   * has arrived. Nothing is sent any more.
   */
  | ({ type: "severed"; reason: string; outcome: Outcome; detail: string } & Undelivered)
  /** Our direction of the connection is to end behind everything that was written; it is read on. */
  | { type: "end-writing"; channel: number };

/** The events that are not for the driver. */
export type LinkEvent = Exclude<ProtocolEvent, { type: "close-connection" | "end-writing" }>;

/** A call waits until its message was taken, and then until the peer has accepted it, or has answered it. */
export type Until = "taken" | "accepted" | "answered";

/** Stands for messages whose acceptance a call waits for. Only the protocol looks into the rest of it. */
export interface Ticket {
  /** The call, which sets it: to look for the call in a Map takes a fifth of the time of a request. */
  holder: unknown;
}

/** A ticket whose messages will not be delivered, or not all of them. */
export type LostTicket = Extract<ProtocolEvent, { type: "ended" }>["lost"][number];

/** The properties that both directions share. */
interface Directions {
  /** In "bytes" a message is a chunk of a stream. */
  readonly mode: Mode;
  /** The connection in use. */
  readonly adopted: { readonly id: number } | undefined;
  /** The application was told that the link has ended, and how. */
  readonly ended: boolean;
}

export interface Outbound extends Directions {
  /** The largest payload that both ends take. */
  readonly maxMessageBytes: number;
  /** Bytes of room that a message needs besides its payload. */
  readonly overheadBytes: number;
  /** Answers whether there is room for a message with a payload of `payloadBytes`. */
  hasRoom(payloadBytes: number): boolean;
  /** There is no connection, as nothing needs one: what is sent next dials. Only a protocol that rests has this. */
  readonly isAtRest?: boolean;
  /** A message waits before the protocol: one that rests is to dial. */
  wake?(): void;
  /** False: nobody can know whether the peer has accepted a message, and `ticket("message")` is not called. */
  readonly knowsAcceptance?: boolean;
  /** The peer answers messages: `ticket("answer")` may be called, and "answered" events come. */
  readonly answersRequests?: boolean;
  /** The messages, and the bytes, for which there is certainly room. */
  readonly roomMessages: number;
  readonly roomBytes: number;
  /** An account for sends that wait for room. It draws on the same budget as the log. */
  newAccount(): Account;
  /**
   * Takes a message. The caller has checked `sendingEnded`, `maxMessageBytes` and `hasRoom()`. `given`: the payload
   * will never change again, and need not be copied. `until`: `ticket("message")` follows, or `ticket("answer")`.
   * Throws a RespliceError, and takes nothing, where the protocol cannot frame the message, or where nothing will say
   * what the caller waits for.
   */
  take(payload: Uint8Array | string, payloadBytes: number, given: boolean, until: Until): void;
  /**
   * The message that was taken last is for the connection in use alone: written on no other, and among the undelivered
   * once that connection is gone. Only a protocol without a session has this method.
   */
  bind?(): void;
  /** Throws what `take()` would throw. Only a protocol with a framing has this method. */
  checkMessage?(payload: Uint8Array | string, until: Until): void;
  /** Bytes taken since the start of the link, with the overhead of each message. */
  readonly takenBytes: number;
  /** Of these, the bytes that the peer has not accepted. */
  readonly unackedBytes: number;
  /** The link's only connection is over, and messages were lost with it, or not sent. */
  readonly hasLost?: boolean;
  /**
   * A ticket for the message that was taken last, for its answer, or for all messages that were taken so far. Asks the
   * peer to acknowledge at once when it has accepted them.
   */
  ticket(covers: "message" | "answer" | "everything"): Ticket;
  /**
   * Nobody waits any more: if the ticket's message is lost, it is reported like a message without a ticket. Answers
   * whether the peer has accepted its messages.
   */
  withdraw(ticket: Ticket): boolean;
  /** Takes out the tickets whose messages the peer has accepted since the last call. */
  takeDelivered(): readonly Ticket[];
  /** Messages and bytes that were taken and never written. */
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  /** Ends this direction after everything taken so far. */
  end(): void;
  /** This end has ended this direction. */
  readonly outputEnded: boolean;
  /** No message is taken any more, for whatever reason. */
  readonly sendingEnded: boolean;
  /** The peer reads nothing more: what it has accepted is final. */
  readonly peerStopped: boolean;
  /** This direction is complete: the peer has accepted its end, or reads nothing more. */
  readonly outputDone: boolean;
  /** Bytes taken that are still to be delivered before the end of this direction. */
  readonly owedBytes: number;
}

export interface Inbound extends Directions {
  /** Identifies the session that positions count in: it is a different object after the session was replaced. */
  readonly session: object;
  /** Bytes wait to be handed out, though perhaps not a whole message. */
  readonly hasUnread: boolean;
  readonly readableBytes: number;
  /**
   * The next message; undefined if none is here. `keep` is called with memory that other messages may share. Without it
   * the caller transfers no memory.
   */
  next(keep?: Keep): Buffer | undefined;
  /**
   * Hands out one message after another, each with the position where it ends, until `hand` answers false or about
   * `most` were handed out. Answers true if it stopped because of `most` and more is here.
   */
  handOut(hand: (message: Buffer, end: number) => boolean, keep: Keep | undefined, most: number): boolean;
  /** The position where the message that was handed out last ends. */
  readonly handedTo: number;
  /** The consumer has accepted everything below `position`. Messages below that were not handed out are skipped. */
  accept(position: number): void;
  /**
   * The consumer has accepted everything handed out but the last `exceptBytes`. Answers whether this changed anything.
   */
  acceptHanded(exceptBytes: number): boolean;
  /** Our consumer has accepted everything below. */
  readonly consumedTo: number;
  /** Bytes that have arrived and our consumer has not accepted, handed out or not. */
  readonly unacceptedBytes: number;
  /** The peer can send no more until our consumer accepts something. */
  readonly isFull: boolean;
  /**
   * The connection in use is to be read. False only in a protocol without credit, whose peer sends as fast as it is
   * read. It changes with what arrives and with what the consumer accepts, not with what is handed out: the driver
   * looks at it after each step.
   */
  readonly readsOn: boolean;
  readonly windowBytes: number;
  /** The peer has ended its direction, and everything before was handed out. */
  readonly inputEnded: boolean;
  /** The peer has ended its direction, and everything before was accepted. */
  readonly inputAccepted: boolean;
  /** The peer has ended its direction to go on in another session. */
  readonly inputMoves: boolean;
  /** No consumer will read any more: bytes that arrive are not accepted. */
  stopReading(): void;
  readonly readingStopped: boolean;
}

export interface Protocol extends Outbound, Inbound {
  /** For logs and applications; "" where there is no session. */
  readonly sessionId: string;
  /** The driver takes all of them out after each call. */
  readonly events: ProtocolEvent[];
  /** On the monotonic clock; Infinity if nothing is due. A tick that comes early does no harm. */
  readonly nextTimeoutMs: number;
  tick(nowMs: number): void;
  /**
   * The application doubts the path: the peer is asked for a sign of life. Answers true if that is to be written. Does
   * nothing without a connection in use. `nextTimeoutMs` may have changed all the same.
   */
  ping(nowMs: number): boolean;
  /** `endTurn()` is to be called at the end of this turn of the event loop. */
  readonly awaitsEndOfTurn: boolean;
  /** Everything that has arrived in this turn was handed in. Answers whether there is anything to write in reply. */
  endTurn(): boolean;
  /** The connection in use has written all but `pendingBytes` of the transmitted bytes: their memory may be reused. */
  recycle(pendingBytes: number): void;
  /**
   * The kernel has taken all bytes that were transmitted on the connection. Only a protocol that needs to know has this
   * method: it costs a callback for each write.
   */
  written?(id: number): void;
  /**
   * The short way in, which saves most of what `receive()` and `handOut()` take: a piece on its way from one socket to
   * another is delayed by each step. Takes a chunk that is one piece of a byte stream, and answers the bytes in it, which
   * the consumer is to be handed at once; `receivedNow()` follows. Undefined: the chunk is for `receive()`. Only a protocol
   * with such a way has this method.
   */
  receiveNow?(id: number, chunk: Buffer, clock: { now(): number }): Buffer | undefined;
  /**
   * The consumer was handed what `receiveNow()` has answered, and has accepted it or not. Answers whether there is anything
   * to be done in a step.
   */
  receivedNow?(isAccepted: boolean, nowMs: number): boolean;
  /**
   * The short way out: takes a small piece of a byte stream, a head of 32 bits and `memory` from `from` to before `to`, and
   * answers what the connection is to write at once. Undefined: nothing was taken, and the piece is for `take()`. The
   * caller has checked what it checks for `take()`.
   */
  transmitNow?(id: number, head: number, memory: Buffer, from: number, to: number, nowMs: number): Buffer[] | undefined;
  /** Ends both directions at both ends. `reason` is the application's code for the peer. */
  reset(code: ResetCode, reason: string, outcome: Outcome, nowMs: number): void;
  /** Ends the link without telling the peer. */
  abandon(outcome: Outcome): void;
  /** The smoothed round trip of the connection in use. */
  readonly rttMs: number | undefined;
  /** Messages, and bytes of payload, that the peer has accepted since the start. */
  accepted(): { messages: number; bytes: number };
}

/** Takes a connection's input and answers its output: the core of a client's link, or the core of a whole server. */
export interface ChannelIo {
  receive(id: number, chunk: Buffer, nowMs: number): void;
  /**
   * The peer has ended its direction of the connection, and may still read. Only a protocol that goes on writing then
   * has this method: else the connection is closed.
   */
  peerEnded?(id: number, nowMs: number): void;
  connectionClosed(id: number, reason: string, nowMs: number): void;
  /** The bytes that the connection is to write now, at most about `roomBytes`; empty if there are none. */
  transmit(id: number, roomBytes: number, nowMs: number): Buffer[];
}
