/** What the applications of the simulation say: each end can tell what the other must have said. */

export function payloadSize(number: number, payloadBytes: number): number {
  return 4 + ((number * 7_919) % Math.max(1, payloadBytes - 3));
}

export function encodeMessage(tag: number, number: number, bytes: number): Buffer {
  const message = Buffer.alloc(bytes, (number + 37 * tag) & 0xff);
  message.writeUIntBE(tag, 0, 1);
  message.writeUIntBE(number, 1, 3);
  return message;
}

/** A byte stream that repeats itself only after 64 KiB. */
const STREAM_PERIOD = 65_536;
const STREAM = Buffer.from(Array.from({ length: 2 * STREAM_PERIOD }, (_, at) => (at * 31 + (at >> 8)) & 0xff));

export function streamPiece(tag: number, position: number, bytes: number): Buffer {
  const from = (position + 1_237 * tag) % STREAM_PERIOD;
  return Buffer.from(STREAM.subarray(from, from + bytes));
}
