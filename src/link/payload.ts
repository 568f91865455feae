/** The payload of a message that an application gives: its size, and whether its memory can be kept. */
import { types } from "node:util";
import { isBytes } from "../core/foreign.ts";
import { ownCopy } from "../core/wire/bytes.ts";
import { REFERENCE_BYTES } from "../core/log/log.ts";
import { RespliceError } from "./errors.ts";
import type { Payload } from "./types.ts";
import { keepInPlace } from "./untransferable.ts";

const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * The size of a payload. Throws for a value that could not be copied: a failure while copying would leave part of it
 * in the log.
 */
export function payloadBytes(message: Payload): number {
  if (typeof message === "string") return Buffer.byteLength(message);
  if (!isBytes(message)) {
    throw new RespliceError("INVALID_ARGUMENT", "a message is a string or a Uint8Array; JSON.stringify() objects", {
      delivery: "not-sent",
    });
  }
  const { byteLength } = message;
  if (byteLength === 0) checkAttached(message);
  return byteLength;
}

/**
 * Throws if the view's ArrayBuffer was transferred elsewhere, or has become too small: such a view looks like an empty
 * one.
 */
function checkAttached(message: Uint8Array): void {
  try {
    NOTHING.set(message);
  } catch (cause) {
    const what = "the message is empty since its ArrayBuffer was transferred elsewhere, or made smaller";
    throw new RespliceError("INVALID_ARGUMENT", what, { cause, delivery: "not-sent" });
  }
}

/** Throws MESSAGE_TOO_LARGE. */
export function checkSize(bytes: number, most: number): void {
  if (bytes <= most) return;
  const what = `a message of ${bytes} bytes; at most ${most}`;
  throw new RespliceError("MESSAGE_TOO_LARGE", what, { delivery: "not-sent" });
}

/** The payload is large enough for a log to refer to it, and its memory cannot change its size; else it is copied. */
export function isGiven(message: Payload, bytes: number): boolean {
  if (typeof message === "string" || bytes < REFERENCE_BYTES) return false;
  const { buffer } = message;
  if (!types.isArrayBuffer(buffer) || buffer.resizable) return false;
  keepInPlace(message.buffer);
  return true;
}

/** A message that waits, whose payload never changes again; `given`: as for `Outbound.take()`. */
export interface Kept {
  readonly payload: Payload;
  readonly given: boolean;
  /** The connection that the message is for; undefined: any. */
  readonly boundTo: number | undefined;
}

/** The caller may change the bytes as soon as it goes on, and the message is taken into the log later. */
export function kept(message: Payload, given: boolean, boundTo: number | undefined): Kept {
  if (given || typeof message === "string") return { payload: message, given, boundTo };
  return { payload: ownCopy(message), given: true, boundTo };
}
