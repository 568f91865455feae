/** What one end sends and the other must get: message by message, or byte by byte, and what both ends know of it. */
import { Draw } from "../fuzz/draw.ts";

/** A prime, so that a byte stream does not repeat itself in step with anything. */
const TABLE_BYTES = 1_048_573;
const HEADER_BYTES = 8;
const TABLE = new Draw(1).bytes(TABLE_BYTES);

/** How long message `number` is: most are small, a few are larger than what is split or sent by reference. */
function lengthOf(mixed: number): number {
  const lot = mixed % 1_000;
  const most = lot < 700 ? 200 : lot < 950 ? 4_000 : lot < 997 ? 40_000 : 200_000;
  return (mixed >>> 10) % most;
}

function mix(flow: number, number: number): number {
  const mixed = Math.imul((flow + 1) ^ Math.imul(number + 1, 0x9e37_79b1), 0x85eb_ca6b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

export function message(flow: number, number: number): Buffer {
  const mixed = mix(flow, number);
  const length = lengthOf(mixed);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + length);
  bytes.writeUInt32BE(flow, 0);
  bytes.writeUInt32BE(number, 4);
  const from = mixed % (TABLE_BYTES - length);
  TABLE.copy(bytes, HEADER_BYTES, from, from + length);
  return bytes;
}

/** Bytes of a stream, from `position` on. */
export function streamPiece(flow: number, position: number, length: number): Buffer {
  const piece = Buffer.allocUnsafe(length);
  for (let done = 0; done < length;) {
    const from = (position + done + flow * 7_919) % TABLE_BYTES;
    done += TABLE.copy(piece, done, from, Math.min(TABLE_BYTES, from + length - done));
  }
  return piece;
}

/** Counts what comes in, and says what is not as it should be. */
export class Received {
  messages = 0;
  bytes = 0;
  problem: string | undefined;
  readonly #flow: number;

  constructor(flow: number) {
    this.#flow = flow;
  }

  message(got: Buffer): void {
    const number = this.messages++;
    this.bytes += got.length;
    if (got.equals(message(this.#flow, number))) return;
    const is =
      got.length < HEADER_BYTES ? "no message" : `message ${got.readUInt32BE(4)} of flow ${got.readUInt32BE(0)}`;
    this.problem ??= `instead of message ${number} of flow ${this.#flow} came ${is}, ${got.length} bytes`;
  }

  piece(got: Buffer): void {
    const position = this.bytes;
    this.bytes += got.length;
    if (got.equals(streamPiece(this.#flow, position, got.length))) return;
    this.problem ??= `the stream of flow ${this.#flow} is another one between ${position} and ${this.bytes}`;
  }
}
