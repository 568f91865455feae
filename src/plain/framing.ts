/**
 * The interface of a framing, which says where messages begin and end in a stream of bytes. `lines()`, `delimited()`,
 * `lengthPrefixed()`, `fixed()` and `bytes()` are made for it, and an application can bring its own: see
 * docs/protocols.md.
 */
import { RespliceError } from "../link/errors.ts";

/** Where messages begin and end in a stream of bytes. docs/protocols.md says how to write one. */
export interface Framing {
  /** For logs and errors. */
  readonly name: string;
  /**
   * The bytes of one message on the wire, in one piece or several. They may be views of `message`, which does not
   * change until they are written. Throws if the message cannot be framed, such as a line that holds a line end: then
   * nothing was sent.
   */
  encode(message: Buffer): Uint8Array | readonly Uint8Array[];
  /** A decoder for one connection. Throws if no message can be as small as `maxMessageBytes`. */
  decoder(limits: FrameLimits): FrameDecoder;
}

/**
 * A framing that puts the same bytes behind each message. `Storage` copies message and suffix itself: an array of pieces
 * for each small message would take an eighth of the time in which it is sent.
 */
export abstract class SuffixFraming implements Framing {
  abstract readonly name: string;
  readonly suffix: Buffer;

  constructor(suffix: Buffer) {
    this.suffix = suffix;
  }

  /** Throws if the message cannot be framed. */
  abstract check(message: Buffer): void;

  abstract decoder(limits: FrameLimits): FrameDecoder;

  encode(message: Buffer): readonly Buffer[] {
    this.check(message);
    return [message, this.suffix];
  }
}

/** What a decoder has to keep to. */
export interface FrameLimits {
  /**
   * The largest message that `deliver` may be called with, in bytes. A larger one is to be refused before it is kept.
   */
  readonly maxMessageBytes: number;
}

/** Cuts what one connection receives into messages. After a throw it is not called again. */
export interface FrameDecoder {
  /**
   * Takes the bytes that have arrived, and calls `deliver` for each message that is whole, before it returns. A message
   * may be a view of `chunk`, and then keeps all of it in memory. Throws at bytes that are no message: the messages
   * before them count, the connection is closed, and the link dials again.
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

/** Called by a decoder with each message that is whole. */
export type Deliver = (message: Buffer) => void;

/** A fault of the peer: its connection is closed. */
export function streamFault(text: string): RespliceError {
  return new RespliceError("PROTOCOL_ERROR", text);
}

export function oversized(maxMessageBytes: number): RespliceError {
  return streamFault(`a message of more than maxMessageBytes, ${maxMessageBytes} bytes`);
}

/** The peer has ended after `bytes` of a message. */
export function partAtEnd(bytes: number): RespliceError {
  return streamFault(`the peer has ended within a message, of which ${bytes} bytes have come`);
}
