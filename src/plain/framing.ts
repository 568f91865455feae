/**
 * The interface of a framing, which says where messages begin and end in a stream of bytes. `lines()`, `delimited()`,
 * `lengthPrefixed()`, `fixed()` and `bytes()` are made for it, and an application can bring its own: see
 * docs/protocols.md.
 */
import type { ErrorCode } from "../link/errors.ts";

export interface Framing {
  /** For logs and errors. */
  readonly name: string;
  /**
   * The bytes of one message on the wire, in one piece or several. They may be views of `message`, which does not change
   * until they are written. Throws if the message cannot be framed, such as a line that holds a line end: then nothing
   * was sent.
   */
  encode(message: Buffer): Uint8Array | readonly Uint8Array[];
  /** A decoder for one connection. Throws if no message can be as small as `maxMessageBytes`. */
  decoder(limits: FrameLimits): FrameDecoder;
}

export interface FrameLimits {
  /** The largest message that `deliver` may be called with, in bytes. A larger one is to be refused before it is kept. */
  readonly maxMessageBytes: number;
}

/** Cuts what one connection receives into messages. After a throw it is not called again. */
export interface FrameDecoder {
  /**
   * Takes the bytes that have arrived, and calls `deliver` for each message that is whole, before it returns. A message
   * may be a view of `chunk`, and then keeps all of it in memory. Throws at bytes that are no message: the messages before
   * them count, the connection is closed, and the link dials again.
   *
   * The chunk is the decoder's from then on: it does not change any more. A decoder of resplice may free the memory of
   * one that it was given whole, so a decoder that hands its chunk on to another does not read it afterwards.
   */
  decode(chunk: Buffer, deliver: Deliver): void;
  /**
   * The peer has ended its direction. Delivers the rest if that counts as a message, and throws if it is a part of one.
   */
  end(deliver: Deliver): void;
}

export type Deliver = (message: Buffer) => void;

/** The error codes of framings. */
export type FramingCode = Extract<
  ErrorCode,
  "INVALID_OPTION" | "INVALID_ARGUMENT" | "MESSAGE_TOO_LARGE" | "PROTOCOL_ERROR"
>;

/**
 * Thrown by the framings of this folder, which know nothing of `RespliceError`: whoever calls them makes that of it, with
 * the same code, text and option. INVALID_OPTION comes from the functions that make a framing, and from `decoder()`;
 * INVALID_ARGUMENT and MESSAGE_TOO_LARGE from `encode()`; PROTOCOL_ERROR from a decoder, and means the connection.
 */
export class FramingError extends Error {
  override readonly name = "FramingError";
  readonly code: FramingCode;
  /** INVALID_OPTION: the option's path, the given value, and the values allowed. */
  readonly option: InvalidOption | undefined;

  constructor(code: FramingCode, message: string, option?: InvalidOption) {
    super(message);
    this.code = code;
    this.option = option;
  }
}

export interface InvalidOption {
  readonly name: string;
  readonly value: unknown;
  readonly allowed: string;
}

/** A fault of the peer: its connection is closed. */
export function streamFault(text: string): FramingError {
  return new FramingError("PROTOCOL_ERROR", text);
}

export function oversized(maxMessageBytes: number): FramingError {
  return streamFault(`a message of more than maxMessageBytes, ${maxMessageBytes} bytes`);
}

/** The peer has ended after `bytes` of a message. */
export function partAtEnd(bytes: number): FramingError {
  return streamFault(`the peer has ended within a message, of which ${bytes} bytes have come`);
}
