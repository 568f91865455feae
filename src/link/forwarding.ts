/**
 * What a tunnel does with a link besides what every application can. It passes on what others have said, so each byte costs
 * them time, and it keeps nothing that it is handed.
 */
import { COPIED_BYTES, HEAD_BYTES } from "../core/log/sender.ts";
import { releaseChunk } from "../core/wire/own-chunks.ts";
import type { ClosedListener } from "./end-result.ts";
import { LinkHandle } from "./link.ts";
import type { Link, Message } from "./types.ts";

const { engineOf } = LinkHandle;

/**
 * As `link.onMessage()`, with bytes that are only lent: when the handler is given bytes that lie in other memory, or when
 * `link.readableLength` is 0 and it reads them no more, it may free theirs with `freeLent()`. Nothing else refers to it then.
 */
export function lend(link: Link, handler: (bytes: Message) => void | Promise<void>): void {
  engineOf(link).incoming.lend(handler);
}

/** Frees memory of `lend()` at once. Memory that this library has not made is left to the garbage collector. */
export function freeLent(memory: ArrayBufferLike): void {
  releaseChunk(memory);
}

/**
 * Writes a small piece at once, if nothing has to be written before it: a head of 32 bits, and `memory` from `from` to
 * before `to`, which is copied. False: nothing was taken, and sendNow() may take it.
 */
export function sendPiece(link: Link, head: number, memory: Buffer, from: number, to: number): boolean {
  const bytes = HEAD_BYTES + to - from;
  // Most that comes in bulk is larger, and is not to be looked at twice.
  if (bytes > COPIED_BYTES) return false;
  const { driver, outgoing } = engineOf(link);
  if (!outgoing.mayTake(bytes) || !driver.writeNow(head, memory, from, to)) return false;
  outgoing.taken(bytes);
  return true;
}

/** As `link.trySend()`; what it takes is written at once, and not at the end of the turn: no more is sent in this turn. */
export function sendNow(link: Link, bytes: Uint8Array): boolean {
  const { driver, outgoing } = engineOf(link);
  if (!driver.hold()) return outgoing.trySend(bytes);
  try {
    return outgoing.trySend(bytes);
  } finally {
    driver.writeHeld();
  }
}

/** As `link.closed`, without a promise, which takes memory as long as the link lasts. */
export function tellClosed(link: Link, listener: ClosedListener): void {
  engineOf(link).endResult.tell(listener);
}

/** As `link.openPayload`, to be read only: the link makes and keeps no copy. */
export function openPayloadOf(link: Link): Uint8Array {
  return engineOf(link).owner.openPayload;
}
