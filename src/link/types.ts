/** The types of a link that an application sees, the same on both ends. */
import type { EventEmitter } from "eventemitter3";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { LinkState } from "../core/states.ts";
import type { RespliceError } from "./errors.ts";

export type { LinkState };

/** A payload to send. A string is sent as UTF-8. Bytes are copied, unless `transfer` gives them away. */
export type Payload = string | Uint8Array;
/**
 * A received message: String(m), JSON.parse(String(m)). It is a view of memory that it may share with other messages,
 * up to 64 KiB. Copy a message that you keep for long, or that you want to transfer: its `m.buffer` cannot be
 * transferred.
 */
export type Message = Buffer<ArrayBuffer>;

/**
 * One conversation, with the same methods on both ends. Every message reaches the peer's consumer once and in order,
 * over as many connections as that takes. In mode "bytes" a message is a chunk of a stream: the bytes keep their
 * order, but chunks may be split and joined.
 *
 * @example
 * ```ts
 * for await (const message of link) await link.send(`heard: ${message}`);
 * ```
 */
export interface Link extends EventEmitter<LinkEvents>, AsyncIterable<Message>, AsyncDisposable {
  /** For logs. */ readonly id: string;
  /**
   * On the server, "reconnecting" is waiting for the client. "idle": a plain link has closed its connection, which was
   * not used, and dials for the next message.
   */
  readonly state: LinkState;
  /** The same on both ends, and not secret. It changes with a 'state' event of `session: "new"`. */
  readonly sessionId: string;
  /** Server: the client's identity, as authenticate() has answered. It stays the same for as long as the link lives. */
  readonly identity: string | undefined;
  /**
   * Server: the claims that authenticate() answered for the connection in use, or for the last one. A resume renews
   * them.
   */
  readonly claims: unknown;
  /** Server: the open payload that the client gave to open(). */ readonly openPayload: Message;
  /** The peer's IP address. undefined: no connection. */ readonly remoteAddress: string | undefined;

  /**
   * Resolves when the link has taken the message: at once while there is room, else when room appears. From then on
   * the link is responsible for delivering it. With `until: "accepted"`, resolves when the peer's consumer has
   * accepted it. Rejects LINK_ENDED, MESSAGE_TOO_LARGE, INVALID_ARGUMENT (no payload, or one whose ArrayBuffer was
   * transferred elsewhere), INVALID_OPTION, QUEUE_FULL (as many sends wait already as the queue holds, in messages or
   * in bytes), NOT_CONNECTED (`queue.whileDisconnected`), ABORTED; with `until: "accepted"` also the error that ended
   * the link, SESSION_LOST, or DROPPED (a policy of the queue). `error.delivery` says what is known of the message.
   * Danger: two ends that both await "accepted" inside their consumers deadlock.
   */
  send(message: Payload, options?: SendOptions): Promise<void>;
  /**
   * The fastest way to send: it makes no promise. false: there is no room, and the message was NOT taken (unlike a
   * stream's write()); see ready(). A caller that waits with ready() also gets false when the link has taken 128 KiB
   * that the connection has not, and after each MiB. So it never runs far ahead of the connection, nor keeps other
   * work waiting. Where `queue.overflow` drops messages it never answers false. Throws LINK_ENDED, MESSAGE_TOO_LARGE,
   * NOT_CONNECTED (`queue.whileDisconnected`), INVALID_ARGUMENT, INVALID_OPTION.
   */
  trySend(message: Payload, options?: TrySendOptions): boolean;
  /**
   * Resolves when trySend() has room, and no message has to be dropped for that, connected or not; after each MiB it
   * resolves in the next turn of the event loop. While sends fail with NOT_CONNECTED it waits. Rejects LINK_ENDED,
   * ABORTED.
   */
  ready(options?: WaitOptions): Promise<void>;
  /**
   * Resolves when the peer's consumer has accepted every message that the link has taken until now.
   * Rejects SESSION_LOST (it is unknown whether some of them arrived), DROPPED (the queue's policy has dropped one of
   * them), LINK_ENDED, ABORTED, or the error that ended the link. A message that was replaced by a newer one with the
   * same key counts as accepted with that; one that was aborted, or that clear() took out, does not count.
   */
  flush(options?: WaitOptions): Promise<void>;
  /**
   * Takes messages out of a queue that has a policy, else NOT_SUPPORTED, and hands them back; those that were given to
   * the connection stay. A send() until "accepted" rejects with DROPPED instead, and its message is not among them.
   * Throws INVALID_ARGUMENT, INVALID_OPTION.
   */
  clear(options?: ClearOptions): UndeliveredMessage[];
  /** Bytes that the link has taken and the peer has not yet accepted. */ readonly writableLength: number;

  // There are three ways to receive, and one consumer at a time (else CONSUMER_BUSY). Each throws the error that ended
  // the link, if there was one; in mode "bytes" also LINK_ENDED, if this end closed the link before the peer had
  // ended.
  /** The next message, which is accepted at once; null when the peer has ended. Rejects also ABORTED. */
  receive(options?: WaitOptions): Promise<Message | null>;
  /**
   * A message is accepted when the loop asks for the next one, or is left: `break` and `throw` both accept it.
   * The loop ends when the peer has ended. Leaving the loop does not close the link (leaving a stream's loop does).
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
  /**
   * The fastest way to receive: the handler is called for each message, one at a time. A message is accepted when the
   * handler returns, or when its promise fulfils. If the handler throws or rejects, the message is not accepted, and
   * the link (not the process) ends with HANDLER_FAILED. To retry, do so inside the handler: the peer waits meanwhile.
   */
  onMessage(handler: (message: Message) => void | Promise<void>): void;
  /**
   * Says that this end is not done yet, for work that goes on after a handler has returned: the answer to a message, or
   * a timer that sends. Until the promise settles this direction stays open when the peer has ended. At a server the
   * link is not closed either when the handler of serve() returns, and close() of the supervisor waits, for four fifths
   * of its deadline. A close() of the link itself, and of a manager, does not wait. If the promise rejects, the link
   * ends with HANDLER_FAILED, as it does when a handler rejects; but not for the LINK_ENDED of a send() after this
   * direction had ended. However many promises are given, they are only counted. Throws INVALID_ARGUMENT for what is no
   * promise.
   */
  waitUntil(promise: PromiseLike<unknown>): void;
  /** Bytes received and not yet handed to the consumer. */ readonly readableLength: number;
  /**
   * The position where the message handed out last ends. It grows within a `sessionId`. A consumer that crashes after
   * it has processed a message and before it has accepted it may see that message again. To process each once, commit
   * `sessionId` and `position` together with the result, and skip messages whose position is not above the committed
   * one.
   */
  readonly position: number;
  /**
   * With `manualAcceptance`: accepts all up to `position`; messages not yet handed out are skipped. Else
   * NOT_SUPPORTED.
   */
  accept(position: number): void;
  /**
   * The link as a stream, for code that wants a net.Socket; mode "bytes" only, else NOT_SUPPORTED. Bytes that are read
   * from the stream are accepted; destroy() aborts the link. 'end' comes only when the peer has ended, and 'finish'
   * only when the peer has accepted everything; else 'close' comes without them.
   */
  duplex(): Duplex;
  /**
   * The link with the face of a net.Socket, for libraries that expect one; mode "bytes" only, else NOT_SUPPORTED. It is
   * no instance of net.Socket, and has no file descriptor. Each call answers the same socket; CONSUMER_BUSY, if the link
   * is read in another way, by duplex() too. Bytes that are read from the socket are accepted. As with TCP, and unlike
   * duplex(), 'finish' comes when the link has taken everything that was written, and destroy() does not take that back:
   * it is still delivered, for 5 minutes at most, then the direction ends in order, and nothing more is read. Where
   * bytes were written that the link has not taken, before 'connect', and with an error, destroy() aborts the link, as
   * resetAndDestroy() does. Cuts are not seen: 'connect' comes once, and 'close' when the link is over. PEER_ABORTED is
   * an error with the code ECONNRESET, whose `cause` is the RespliceError. Times are in milliseconds. setTimeout()
   * throws INVALID_ARGUMENT, connect() INVALID_STATE after destroy(). docs/sockets.md lists what differs from a
   * net.Socket, and has recipes.
   */
  socket(): Socket;

  /**
   * Resolves when the link is connected, at once if it is already. Rejects with the error that ended the link, or
   * ABORTED.
   */
  connected(options?: WaitOptions): Promise<void>;
  /**
   * Dials no more until retryNow(): for an application that knows that the network is away, or too dear. A connection
   * stays, and an attempt that is under way is taken back. What is sent waits. close() and abort() end it. Does nothing
   * on a server, or when close() was called.
   */
  hold(): void;
  /**
   * Ends hold(). Dials now if the link waits for its next attempt: for an application that knows that the network is
   * back.
   */
  retryNow(): void;
  /**
   * Asks the peer for a sign of life now: for an application that has a reason to doubt the path, as another link to the
   * same server has become suspect, or the machine has changed its network. Without an answer the link is suspect 2 to
   * 4 s later, drawn at random for each link, or after `keepalive.suspectAfterMs` if that is less; but not before four
   * round trips. Then a client dials a second connection; a server only says so, in a 'state' event. While an answer is
   * awaited already nothing more is sent, and the wait is cut to that time. Works with `keepalive.pingAfterMs: 0`, too.
   * A plain link sends its probe at once, and waits for `keepalive.deadAfterMs`; without a `probe` it does nothing. Does
   * nothing where there is no connection: see retryNow().
   */
  ping(): void;

  /**
   * Server: asks the client who it is, for credentials that may have been revoked. The connection is given up, the
   * session is not: the client dials at once, and authenticate() is asked about the credentials that it gives then. If
   * they are refused, the client's link ends with AUTHENTICATION_REFUSED. Nothing is lost, and nothing comes twice. A
   * client that is away is asked anyway when it comes back. To end the link without asking: abort(). Throws
   * NOT_SUPPORTED at a client, on a plain link, and at a server without `authenticate`.
   */
  reauthenticate(): void;

  /**
   * Ends this direction after everything taken, or written to duplex(), so far; the peer's loop ends. Receiving goes
   * on.
   */
  end(): void;
  /**
   * Ends this direction, waits until the peer has accepted everything, then closes both directions. It dials at once if
   * there is no connection. Messages still arrive meanwhile. It never rejects: at the deadline it closes all the same.
   * Nothing of a client's link is left then: it resolves when the peer knows of the end, or a second after the
   * deadline, or six seconds after everything was accepted, whichever is first. A second call answers the same promise.
   * Throws INVALID_ARGUMENT, INVALID_OPTION, and then nothing has changed. With duplex() or socket() it ends nothing
   * itself: it waits until both directions of the stream have ended, and aborts at the deadline.
   */
  close(options?: CloseOptions): Promise<LinkReport>;
  /**
   * Ends both directions at once. The peer's link ends with PEER_ABORTED; its `peerCode` is `code`, of at most 64
   * bytes. Throws INVALID_ARGUMENT for anything else, such as an Error: give its code.
   */
  abort(code?: string): void;
  /** Fulfils when the link is closed, by either end. Never rejects. */
  readonly closed: Promise<LinkReport>;
  /** close() with its defaults. Danger: undelivered messages are only logged. */
  [Symbol.asyncDispose](): Promise<void>;
  /** The numbers of this link, as they are now. */ stats(): LinkStats;
}

/**
 * A wait whose `signal` is aborted rejects with ABORTED, with `signal.reason` as the cause. Every wait rejects also
 * INVALID_ARGUMENT for what is no object with options, and INVALID_OPTION for another name than `signal`, or for a
 * `signal` that is no AbortSignal.
 */
export type WaitOptions = {
  /** Ends the wait. */ signal?: AbortSignal;
};
/** Options of one message, for send() and trySend(). */
export interface TrySendOptions {
  /**
   * The message is not copied if it has 8 KiB or more. Danger: its bytes must never change again. It may be sent on
   * many links, but its ArrayBuffer cannot be transferred any more. Never use it for memory of WebAssembly: when that
   * memory grows, Node ends the process.
   */
  transfer?: boolean;
  /**
   * With `queue.overflow: "conflate"`: the message takes the place of the one that waits with the same key, and its
   * class. At most 256 characters.
   */
  key?: string;
  /**
   * With a queue that has a policy: how long the message may wait. 1 to 2,147,483,647, or Infinity. Default
   * `queue.ttlMs`.
   */
  ttlMs?: number;
  /** With `queue.priorities`: the name of one. Default the last. */
  priority?: string;
}
/** Messages of one class only, or that have waited longer than so many milliseconds. */
export interface ClearOptions {
  /** The name of a class of `queue.priorities`. */ priority?: string;
  /** Milliseconds, 0 or more. */ olderThanMs?: number;
}
/** Options of send(). */
export interface SendOptions extends TrySendOptions, WaitOptions {
  /**
   * Default "taken". To abort takes back a message that waits under a policy of the queue ("not-sent"), and no other
   * that was taken: see `error.delivery`.
   */
  until?: "taken" | "accepted";
}
/** Of a message on a plain link. */
export interface OnConnection {
  /**
   * As `link.connection` has answered: the message is for that connection, and is never written on another, not even
   * with `resendInFlight`. Once it is gone the call rejects with CONNECTION_LOST, with `delivery` "not-sent" if the
   * message was not written; one that no call waits for is in the event 'undelivered', with the reason
   * "connection-lost", and at a server in the report of `closed`. One that was written, and that nothing answers or
   * proves, is untracked if the connection was closed in order. undefined: there is no connection, and the call is
   * refused in the same way. Default: left out, the message is for any connection.
   */
  onConnection?: number | undefined;
}
/** Of request(), on a plain link. */
export type RequestOptions = WaitOptions & TrySendOptions & OnConnection;
/** Options of close(). */
export interface CloseOptions {
  /** How long to wait for acceptance. Default 5,000. 0: not at all. */ deadlineMs?: number;
  /** Aborting it ends that wait early; close() still does not reject. */ signal?: AbortSignal;
}

/** The events of a link, each with what its listener is given. */
export interface LinkEvents {
  /** The link has another state. Emitted after all of the change is done. */ state: [change: StateChange];
  /**
   * Messages that this link will not deliver. Without a listener those of a lost session are kept for the report of
   * close(), and those that a policy of the queue has dropped are only counted.
   */
  undelivered: [event: Undelivered];
  /**
   * The consumer has accepted nothing for 10 s, and the peer can send no more until it does. Emitted once for each
   * stall.
   */
  stalled: [event: { unacceptedBytes: number }];
  /** The peer has ended, and every message before was handed out. For `allowHalfOpen`. */ end: [];
  /**
   * The error that ended the link, and no other; `closed` reports it too. Unlike Node's 'error', it needs no listener.
   */
  error: [error: RespliceError];
}

/**
 * `error` is a failure that the link recovers from, or the one that ended it. `reason` is stable: docs/metrics.md
 * lists all.
 */
export type StateChange = { from: LinkState; reason: string } & (
  | { to: "connecting"; attempt: number }
  /**
   * "new": the peer's application does not know this session yet (it is the first, or the one before was lost or
   * moved). Subscribe again.
   */
  | { to: "connected"; attempt: number; session: "new" | "resumed" }
  /** `nextDelayMs`: Infinity while the link is held. */
  | { to: "reconnecting"; attempt: number; nextDelayMs: number; error?: RespliceError }
  | { to: "suspect" }
  | { to: "idle" }
  | { to: "draining" }
  | { to: "closed"; error?: RespliceError }
);

/**
 * Each message is reported once: if its send() waits until "accepted", that rejects, and the message is not here.
 * There is at most one event in a turn for each reason.
 */
export interface Undelivered {
  /** Why: docs/metrics.md lists what each word means. */
  reason: "session-lost" | "connection-lost" | "too-large" | "overflow" | "expired" | "conflated";
  /**
   * The session that was lost; of a message that the queue dropped, the present one. A peer that commits positions can
   * tell from it and `position` which messages it has.
   */
  sessionId: string;
  /** The oldest first. */ messages: UndeliveredMessage[];
  /** Only of a plain link: see `LinkReport`. */
  untracked?: Traffic;
}
/** A message that this link will not deliver, or may not have delivered. */
export type UndeliveredMessage = {
  /** As it was taken. */ message: Message;
  /** "maybe": it was written, and nobody can say whether it arrived. */ delivery: "not-sent" | "maybe";
  /** Where the message ends in its session; undefined if it was never written. */ position: number | undefined;
};
/**
 * Why a link had not ended by the deadline, the first of these that holds: "away": there was no connection.
 * "unaccepted": the peer had not accepted everything that was sent. "unread": this application had not accepted
 * everything that had arrived. "application": it had not ended its direction; its handler had not returned, or its byte
 * stream was open. "peer": the peer had not ended its direction.
 */
export type CutOffReason = "away" | "unaccepted" | "unread" | "application" | "peer";
/**
 * `error`: absent after close(), and if the peer ended in order. `undelivered`: oldest first; empty if all was
 * accepted. `untracked`: of a plain link, messages of which only the number is known any more: they were written, and
 * nobody can say whether they arrived. `cutOff`: only of a link that was cut off at the deadline of close().
 */
export type LinkReport = {
  /** What ended the link, if not close() or the peer. */ error?: RespliceError;
  /** Messages not known to be accepted. */ undelivered: UndeliveredMessage[];
  /** Of a plain link. */ untracked?: Traffic;
  /** Why the link was cut off at the deadline. */ cutOff?: CutOffReason;
};

/**
 * `left`: how many links were cut off at the deadline. `cutOff`: which, and why; absent if there is none. `untracked`:
 * only of plain links, see `LinkReport`.
 */
export type CloseReport = {
  /** How many links were cut off. */ left: number;
  /** Which, and why. */ cutOff?: Array<{ link: Link; reason: CutOffReason }>;
  /** Of all links. */ undelivered: Array<UndeliveredMessage & { link: Link }>;
  /** Of plain links. */ untracked?: Traffic;
};

/** How a manager or a server is. */
export type Health = {
  /** The manager's and the server's health() say when it is which. */ status: "healthy" | "degraded" | "down";
  /** In words, why it is not "healthy"; empty if it is. */ reasons: string[];
};
/** Messages, and the bytes of their payloads. */
export type Traffic = {
  /** How many. */ messages: number;
  /** Of their payloads, together. */ bytes: number;
};
/**
 * Counters are since the start. `accepted`: by the peer's consumer; for a byte stream only the bytes are counted.
 * `unacceptedBytes`: received, and not yet accepted by our consumer. `queue`: taken, and never written; `oldestAgeMs`
 * is how long the first in line has waited, 0 if none waits, and undefined without a policy: then no times are kept.
 */
export interface LinkStats {
  /** The present state. */ state: LinkState;
  /** Milliseconds in this state. */ stateForMs: number;
  /** The smoothed round trip of the connection in use. */
  rttMs: number | undefined;
  /** Lost connections that were replaced. */ reconnects: number;
  /** From the loss of a connection until the next one was in use, the last time. */
  recoveryMs: number | undefined;
  /** Taken to be sent. */ taken: Traffic;
  /** Accepted by the peer's consumer. */ accepted: Traffic;
  /** Handed to our consumer. */ received: Traffic;
  /** Messages, by reason. */ undelivered: Record<Undelivered["reason"], number>;
  /** Taken, and never written. */ queue: Traffic & { oldestAgeMs: number | undefined };
  /** Bytes written, and not yet accepted by the peer. */
  logBytes: number;
  /** How many bytes the peer may have in flight. */ windowBytes: number;
  /** Received, and not yet accepted by our consumer. */ unacceptedBytes: number;
}
