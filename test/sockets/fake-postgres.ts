/** As much of the wire protocol of PostgreSQL as a client needs that asks simple queries. */
import type { Duplex } from "node:stream";

/** The length of the first message is its first field; all others have a type before it. */
const LENGTH_BYTES = 4;
const TEXT_TYPE = 25;

/** Answers each query with one row of one column, which has what `answer` says. */
export function servePostgres(socket: Duplex, answer: (query: string) => string): void {
  const chunks: Buffer[] = [];
  let hasBegun = false;
  /** Until so many bytes are here there is nothing to do. */
  let needed = LENGTH_BYTES;
  socket.on("error", () => {});
  socket.on("end", () => socket.end());
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    while (chunks.reduce((bytes, { length }) => bytes + length, 0) >= needed) {
      const unread = Buffer.concat(chunks.splice(0));
      chunks.push(unread);
      const typeBytes = hasBegun ? 1 : 0;
      const size = typeBytes + unread.readUInt32BE(typeBytes);
      needed = size;
      if (unread.length < size) continue;
      const type = String(unread.subarray(0, typeBytes));
      const body = unread.subarray(typeBytes + LENGTH_BYTES, size);
      chunks[0] = unread.subarray(size);
      needed = 1 + LENGTH_BYTES;
      if (!hasBegun) socket.write(Buffer.concat([message("R", int32(0)), message("Z", "I")]));
      else if (type === "Q") socket.write(row(answer(String(body.subarray(0, -1)))));
      else if (type === "X") socket.end();
      hasBegun = true;
    }
  });
}

function row(value: string): Buffer {
  const bytes = Buffer.from(value);
  const column = [int16(1), "answer\0", int32(0), int16(0), int32(TEXT_TYPE), int16(-1), int32(-1), int16(0)];
  return Buffer.concat([
    message("T", ...column),
    message("D", int16(1), int32(bytes.length), bytes),
    message("C", "SELECT 1\0"),
    message("Z", "I"),
  ]);
}

function message(type: string, ...fields: Array<Buffer | string>): Buffer {
  const body = Buffer.concat(fields.map((field) => Buffer.from(field as string)));
  return Buffer.concat([Buffer.from(type), int32(LENGTH_BYTES + body.length), body]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
