/** What applications see of a link, on either end. */
import type { EventEmitter } from "eventemitter3";
import type { Duplex } from "node:stream";
import type { LinkState } from "../core/states.ts";
import type { RespliceError } from "./errors.ts";

export type { LinkState };

/** What can be sent. A string is sent as UTF-8. Copied, unless `transfer` gives it away. */
export type Payload = string | Uint8Array;
/**
 * What arrives: String(m), JSON.parse(String(m)). A view of memory that others share, up to 64 KiB: copy what you keep for
 * long, or want to transfer, since `m.buffer` cannot be.
 */
export type Message = Buffer<ArrayBuffer>;

/**
 * One conversation, with the same face on both ends. Every message reaches the peer's consumer once and in order, over as
 * many connections as that takes. In mode "bytes" a message is a chunk: split and joined at will, the bytes in order.
 */
export interface Link extends EventEmitter<LinkEvents>, AsyncIterable<Message>, AsyncDisposable {
  /** For logs. */ readonly id: string;
  /** On the server, "reconnecting" is waiting for the client. */ readonly state: LinkState;
  /** Alike on both ends, not secret. Changes with a 'state' event of `session: "new"`. */
  readonly sessionId: string;
  /** Server: who the client is, says authenticate(). The same for as long as the link lives. */
  readonly identity: string | undefined;
  /** Server: what authenticate() said of the connection in use, or of the last one. A resume brings what is new. */
  readonly claims: unknown;
  /** Server: what the client gave to open(). */ readonly openPayload: Message;
  readonly remoteAddress: string | undefined;

  /**
   * Resolves when the link has taken the message: at once while there is room, else when room appears. From then on it is
   * the link's duty. With `until: "accepted"`: when the peer's consumer has accepted it.
   * Rejects LINK_ENDED, MESSAGE_TOO_LARGE, INVALID_ARGUMENT (no payload, or one whose ArrayBuffer was transferred elsewhere),
   * QUEUE_FULL (as many sends wait as the queue holds, in messages or in bytes), ABORTED; until accepted also with the error
   * that ended the link, or SESSION_LOST. `error.delivery` says what is known. Danger: both ends awaiting "accepted" inside
   * their consumers deadlock.
   */
  send(message: Payload, options?: SendOptions): Promise<void>;
  /**
   * The hot path, without a promise. false: full, and NOT taken (unlike a stream's write()); see ready(). Who waits with
   * ready() gets false as well when 128 KiB are taken that the connection has not, and after each MiB: so it never runs
   * far ahead, nor keeps everything else from its turn.
   * Throws LINK_ENDED, MESSAGE_TOO_LARGE, INVALID_ARGUMENT.
   */
  trySend(message: Payload, options?: TrySendOptions): boolean;
  /**
   * Resolves when trySend() has room, connected or not; after each MiB in the next turn of the event loop.
   * Rejects LINK_ENDED, ABORTED.
   */
  ready(options?: WaitOptions): Promise<void>;
  /**
   * Resolves when the peer's consumer has accepted all that was taken until now.
   * Rejects SESSION_LOST (some of it is in doubt), LINK_ENDED, ABORTED, or the error that ended the link.
   */
  flush(options?: WaitOptions): Promise<void>;
  /** Bytes taken and not yet accepted by the peer. */ readonly writableLength: number;

  // Three ways to receive, one consumer at a time (CONSUMER_BUSY). They throw the error that ended the link, if one did; in
  // mode "bytes" also LINK_ENDED, if it was closed here before the peer had ended.
  /** The next message, accepted at once; null when the peer has ended. Rejects also ABORTED. */
  receive(options?: WaitOptions): Promise<Message | null>;
  /**
   * A message is accepted when the loop comes back for the next one, or is left (break and throw look alike).
   * Ends when the peer has ended. Leaving the loop does not close the link (with a stream it does).
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
  /**
   * The hot path: called for each message, one at a time. Accepted when the handler returns or its promise fulfils. If it
   * throws or rejects the message is not accepted, and the link, not the process, ends with HANDLER_FAILED: retry inside
   * the handler, the peer waits meanwhile.
   */
  onMessage(handler: (message: Message) => void | Promise<void>): void;
  /** Bytes received and not yet handed to the consumer. */ readonly readableLength: number;
  /**
   * Where the message handed out last ends; grows within a `sessionId`. A consumer that dies between its effect and
   * accepting sees the message again: commit sessionId and position with the effect, and skip what is not above.
   */
  readonly position: number;
  /** With `manualAcceptance`: accepts all up to `position`, and skips what of it was not handed out. NOT_SUPPORTED without. */
  accept(position: number): void;
  /**
   * Mode "bytes", else NOT_SUPPORTED: for code that wants a net.Socket. What is read from it is accepted; destroy() aborts.
   * 'end' and 'finish' only come where the peer has ended, or accepted, all of it; else 'close' comes without them.
   */
  duplex(): Duplex;

  /** Resolves when connected, also if it was all along. Rejects with the error that ended the link, or ABORTED. */
  connected(options?: WaitOptions): Promise<void>;
  /** Dials now if the link waits for its next attempt: the network is known to be back. */
  retryNow(): void;

  /** Ends this direction after what was taken, or written to duplex(); the peer's loop ends. Receiving goes on. */
  end(): void;
  /**
   * Ends this direction, waits until the peer has accepted all, dialling at once if offline, then closes both. Until then
   * messages still arrive. Never rejects: after the deadline it closes all the same. Called again: the same promise.
   * With duplex(): ends nothing, waits until both directions of the stream have ended, and aborts at the deadline.
   */
  close(options?: CloseOptions): Promise<LinkReport>;
  /** Ends both directions at both ends at once. The peer's link ends with PEER_ABORTED and `peerCode`, of at most 64 bytes. */
  abort(code?: string): void;
  /** Fulfils when the link is closed, whoever closed it. Never rejects. */
  readonly closed: Promise<LinkReport>;
  /** close() with its defaults. Danger: what is undelivered is only logged. */
  [Symbol.asyncDispose](): Promise<void>;
  stats(): LinkStats;
}

/** Aborted, a wait rejects with ABORTED, `signal.reason` as its cause. */
export type WaitOptions = { signal?: AbortSignal };
export interface TrySendOptions {
  /**
   * Not copied if it has 8 KiB or more. Danger: the bytes must never change again. May go to many links, and nowhere else:
   * its ArrayBuffer cannot be transferred any more. Never memory of WebAssembly: when that grew, Node would end the process.
   */
  transfer?: boolean;
}
export interface SendOptions extends TrySendOptions, WaitOptions {
  /** Default "taken". Aborting takes back nothing that was taken: see `error.delivery`. */ until?:
    | "taken"
    | "accepted";
}
export interface CloseOptions {
  /** How long to drain. Default 5,000. 0: not at all. */ deadlineMs?: number;
  /** Ends the drain early; nothing rejects. */ signal?: AbortSignal;
}

export interface LinkEvents {
  state: [change: StateChange];
  /** Messages this link will not deliver. Without a listener those of a lost session or connection wait for close(). */
  undelivered: [event: Undelivered];
  /** The consumer has accepted nothing for 10 s while the peer could send no more until it does. Once a stall. */
  stalled: [event: { unacceptedBytes: number }];
  /** The peer has ended and all before was handed out. For `allowHalfOpen`. */ end: [];
  /** Terminal, and only that; `closed` has it too. Unlike Node's, it is silent when nobody listens. */
  error: [error: RespliceError];
}

/** Faults that are being dealt with show in `error`. `reason` is stable: docs/metrics.md lists them. */
export type StateChange = { from: LinkState; reason: string } & (
  | { to: "connecting"; attempt: number }
  /** "new": the peer's application does not know this link yet (first, lost, moved). Subscribe again. */
  | { to: "connected"; attempt: number; session: "new" | "resumed" }
  | { to: "reconnecting"; attempt: number; nextDelayMs: number; error?: RespliceError }
  | { to: "suspect" | "draining" }
  | { to: "closed"; error?: RespliceError }
);

/** Each message is reported once: not here if its send() waits until accepted, which rejects. At most one event a turn and reason. */
export interface Undelivered {
  reason: "session-lost" | "too-large";
  /** The session that is gone: with `position`, a peer that commits positions can say which messages it has. */
  sessionId: string;
  messages: UndeliveredMessage[];
}
/** `position` is where it ends in its session; undefined when it was never written. */
export type UndeliveredMessage = { message: Message; delivery: "not-sent" | "maybe"; position: number | undefined };
/** `error`: absent after close() and after an orderly end by the peer. `undelivered`: oldest first; empty: all accepted. */
export type LinkReport = { error?: RespliceError; undelivered: UndeliveredMessage[] };

/** `left`: links cut off at the deadline. */
export type CloseReport = { left: number; undelivered: Array<UndeliveredMessage & { link: Link }> };

export type Health = { status: "healthy" | "degraded" | "down"; reasons: string[] };
export type Traffic = { messages: number; bytes: number };
/**
 * Counters are since the start. `accepted`: by the peer's consumer; of a byte stream only the bytes. `unacceptedBytes`: by our
 * consumer. `recoveryMs`: the last one. `queue`: never written.
 */
export interface LinkStats {
  state: LinkState;
  stateForMs: number;
  /** Smoothed, of the connection in use. */
  rttMs: number | undefined;
  reconnects: number;
  /** From the loss of the connection to the next one in use. */
  recoveryMs: number | undefined;
  taken: Traffic;
  accepted: Traffic;
  received: Traffic;
  undelivered: Record<Undelivered["reason"], number>;
  queue: Traffic;
  /** Written and not accepted by the peer. */
  logBytes: number;
  windowBytes: number;
  unacceptedBytes: number;
}
