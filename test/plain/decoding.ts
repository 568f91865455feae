/** What the tests of framings share: streams cut into chunks, and what a decoder makes of them. */
import { expect } from "vitest";
import { type FrameDecoder, type Framing } from "../../src/plain/framing.ts";
import { RespliceError } from "../../src/link/errors.ts";

export const MOST = 1_048_576;

export interface Decoded {
  messages: string[];
  /** The text of the fault. */
  fault?: string;
}

/** The bytes of the messages on the wire. */
export function streamOf(framing: Framing, messages: readonly (Buffer | string)[]): Buffer {
  return Buffer.concat(messages.flatMap((message) => framing.encode(Buffer.from(message))));
}

/** Each chunk with memory of its own, as from a socket. */
export function decode(decoder: FrameDecoder, chunks: readonly Buffer[], ends = false): Decoded {
  const messages: Buffer[] = [];
  const deliver = (message: Buffer): void => void messages.push(message);
  const texts = (): string[] => messages.map((message) => message.toString("latin1"));
  try {
    for (const chunk of chunks) decoder.decode(Buffer.from(chunk), deliver);
    if (ends) decoder.end(deliver);
  } catch (error) {
    expect(error).toBeInstanceOf(RespliceError);
    expect((error as RespliceError).code).toBe("PROTOCOL_ERROR");
    return { messages: texts(), fault: (error as RespliceError).message };
  }
  return { messages: texts() };
}

export function decoded(framing: Framing, stream: Buffer | string, maxMessageBytes: number = MOST): Decoded {
  return decode(framing.decoder({ maxMessageBytes }), [Buffer.from(stream)]);
}

/** The same to the peer's end. */
export function decodedToEnd(framing: Framing, stream: Buffer | string, maxMessageBytes: number = MOST): Decoded {
  return decode(framing.decoder({ maxMessageBytes }), [Buffer.from(stream)], true);
}

/** In chunks of so many bytes. */
export function chunked(stream: Buffer, bytes: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < stream.length; at += bytes) chunks.push(stream.subarray(at, at + bytes));
  return chunks;
}
