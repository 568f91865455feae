/** The options of a plain link's core. The shell has checked them. */
import type { BlockPool } from "../core/log/blocks.ts";
import type { Budget } from "../core/log/window.ts";
import type { Framing } from "./framing.ts";
import type { WatchOptions } from "./watch.ts";

/** Identifies a request and its answer. */
export type MessageId = string | number | bigint;

export interface RequestOptions {
  /** Requests that may wait for their answers at once. At least 1. */
  maxInFlight: number;
  /**
   * Without this the server answers every message, in the order in which they were sent. With it, an answer belongs to
   * the request of the same id: it is called for each message that is sent, and for each one that arrives. A message
   * that is sent without an id (undefined) is not answered; one that arrives without an id goes to the consumer.
   */
  idOf?: (message: Buffer) => MessageId | undefined;
  /**
   * Says of each message that arrives whether it is the answer, or the last part of it; a part of an answer that has
   * more; or no answer at all: a "push" goes to the consumer. Default: with `idOf`, a message without an id is a push;
   * everything else is an answer.
   */
  classify?: (message: Buffer) => "answer" | "push" | "more";
  /** The parts of one answer together, in bytes. An answer that is larger is a fault of the connection. */
  maxAnswerBytes: number;
}

export interface ProbeOptions {
  message: Buffer;
  /**
   * A message to which it says yes answers the probe, and goes no further. Not asked where answers come in order: there
   * the answer is known by its place. Without it, and without an id in `message`, any bytes that arrive answer the
   * probe.
   */
  isAnswer?: (message: Buffer) => boolean;
  /**
   * The server works in order: when it has answered the probe it has everything that was written before. Needs
   * `isAnswer`, or requests whose answers come in order.
   */
  proves: boolean;
}

export interface PlainCoreOptions extends WatchOptions {
  framing: Framing;
  /** Connections are logged in: a connection is in use only after `loginDone()`. */
  hasLogin: boolean;
  probe?: ProbeOptions;
  requests?: RequestOptions;
  /** After this message the connection is given up, and its address rests for a while. */
  reconnectWhen?: (message: Buffer) => boolean;
  /** Messages in doubt when the connection is lost are sent again, before anything newer, instead of being reported. */
  resendInFlight: boolean;
  /**
   * The most that is kept of what was written and is neither answered nor proven, so that it can be reported: in bytes
   * of payload, and 100 more for each message. Older messages are let go, and counted as untracked. With a probe that
   * proves none is let go: sending waits for proof instead.
   */
  inDoubtBytes: number;
  /** In bytes of payload, in both directions. */
  maxMessageBytes: number;
  /** The messages that may wait to be written; `maxBytes` in bytes of payload. */
  queue: { maxMessages: number; maxBytes: number };
  /** The connection is not read while so many bytes have arrived that the consumer has not accepted. */
  windowBytes: number;
  logBudget: Budget;
  blocks: BlockPool;
  /** The error that `take()` throws where the framing, or `idOf`, has thrown at a message. */
  encodeFailed: (thrown: unknown) => Error;
}
