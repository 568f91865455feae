/**
 * Shared by the demo's processes: the numbered messages that go through the link, and the orders and notes that the
 * processes exchange over Node's IPC, which no fault affects.
 */
import type { LinkState } from "../../index.ts";
import type { Gaps } from "./gaps.ts";

/** How often each process reports how many messages it has counted. */
export const STATS_EVERY_MS = 100;

/** A message through the link: its number from 0 up, the time when it was given to the link, and filler. */
const MESSAGE_BYTES = 64;

export function encodeMessage(number: number, sentMs: number): Buffer {
  const message = Buffer.alloc(MESSAGE_BYTES, number % 251);
  message.writeDoubleLE(number, 0);
  message.writeDoubleLE(sentMs, 8);
  return message;
}

/** Throws if `message` is not one of the demo's: then bytes were mixed up. */
export function decodeMessage(message: Buffer): { number: number; sentMs: number } {
  const number = message.length === MESSAGE_BYTES ? message.readDoubleLE(0) : Number.NaN;
  if (
    !Number.isSafeInteger(number) ||
    number < 0 ||
    message.at(16) !== number % 251 ||
    message.at(-1) !== number % 251
  ) {
    throw new Error(`this is not a message of the demo: ${message.toString("hex")}`);
  }
  return { number, sentMs: message.readDoubleLE(8) };
}

/**
 * The system's monotonic clock, in milliseconds. It is the same for all processes of a machine (CLOCK_MONOTONIC; the
 * clocks of macOS and Windows count from the boot, too), so times of the three processes can be subtracted, and the
 * delay of IPC does not show in any figure.
 */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A transition of a child's link. */
export interface StateNote {
  readonly type: "state";
  readonly to: LinkState;
  readonly reason: string;
  readonly atMs: number;
}

export type ToSender =
  | { readonly type: "open"; readonly port: number; readonly perSecond: number; readonly messages: number | undefined }
  /** Answered when the receiver's consumer has accepted all that was sent until now. */
  | { readonly type: "flush"; readonly id: number }
  /** Send nothing more, and close the link. */
  | { readonly type: "finish" };

/** The address of the process's live page, with --page. */
export interface PageNote {
  readonly type: "page";
  readonly address: string;
}

export type FromSender =
  | StateNote
  | PageNote
  | {
      readonly type: "stats";
      readonly sent: number;
      readonly inFlightBytes: number;
      readonly rttMs: number | undefined;
    }
  | { readonly type: "flushed"; readonly id: number }
  /** All `messages` were sent. */
  | { readonly type: "exhausted" }
  | { readonly type: "done"; readonly sent: number; readonly error: string | undefined };

export type ToReceiver =
  /**
   * Answered with the time at which the first message that was sent at `sinceMs` or later was handed to the consumer.
   */
  | { readonly type: "watch"; readonly id: number; readonly sinceMs: number }
  /** The sender is gone, or its link is, or nothing was sent: end the link, and tell what came. */
  | { readonly type: "finish" };

export type FromReceiver =
  | StateNote
  | PageNote
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "stats"; readonly received: number; readonly atMs: number }
  | { readonly type: "handed"; readonly id: number; readonly atMs: number }
  | { readonly type: "done"; readonly tally: Tally; readonly gaps: Gaps; readonly error: string | undefined };

/** Counts of the messages that the receiver's consumer was handed. */
export interface Tally {
  /** All messages, doubled ones included. */
  readonly received: number;
  /** Messages with different numbers. */
  readonly distinct: number;
  readonly doubled: number;
  /** Handed out after one with a higher number. */
  readonly reordered: number;
}
