/** How messages are cut out of a stream of bytes. */

export interface Framing {
  readonly name: string;
  /**
   * The bytes of one message on the wire, in one or several pieces. Throws where the message cannot be framed (a line
   * that holds its own ending).
   */
  encode(message: Buffer): Uint8Array | readonly Uint8Array[];
  /** A decoder for one connection. */
  decoder(limits: { maxMessageBytes: number }): FrameDecoder;
}

export interface FrameDecoder {
  /** Throws at bytes that are no message; the connection is closed then. */
  decode(chunk: Buffer, deliver: (message: Buffer) => void): void;
  /**
   * The peer has ended: delivers a rest that counts as a message, or throws if the rest is a part of one.
   */
  end(deliver: (message: Buffer) => void): void;
}
