/** One end of a pipe at full speed: a source into a stream, or a stream into a sink that checks. */
import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import { connector, listen, type Side, toStream } from "./contenders.ts";
import { answerCalls } from "./calls.ts";
import { fail, given, type Sample, sample } from "./worker.ts";

export type PipedCommands = {
  listen(): Promise<number>;
  connect(port: number): void;
  /** Its messages are chunks of `CHUNK_BYTES`. */
  sample(): Sample;
  /** Ends the source; answers how many bytes it gave when all have left. */
  stop(): Promise<number>;
  received(bytes: number): Promise<void>;
};

const CHUNK_BYTES = 65_536;
const MODE = "bytes";
/** The bytes that are sent over and over: no two places look alike, and it is longer than what is in flight. */
const RING = bytesThatDiffer(256 * CHUNK_BYTES);
/** A whole chunk is compared each so many, of the others both ends. */
const WHOLE_EVERY = 64;

const side = given() as Side;
let chunks = 0;
let received = 0;
let sent = 0;
let stopping = false;
let stream: Writable | undefined;

answerCalls({
  listen: () =>
    listen(side, (conversation) => void toStream(conversation).pipe(new Writable({ write })), { mode: MODE }),
  connect: (port) => {
    stream = toStream(connector(side)(port, { mode: MODE }));
    new Readable({ read }).pipe(stream);
  },
  sample: () => sample(received / CHUNK_BYTES),
  stop: async () => {
    stopping = true;
    if (stream?.writableFinished === false) await once(stream, "finish");
    return sent;
  },
  received: async (bytes) => {
    while (received < bytes) await sleep(1);
  },
} satisfies PipedCommands);

function read(this: Readable): void {
  if (stopping) {
    this.push(null);
    return;
  }
  const at = sent % RING.length;
  sent += CHUNK_BYTES;
  this.push(RING.subarray(at, at + CHUNK_BYTES));
}

function write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
  const at = received % RING.length;
  const whole = chunks++ % WHOLE_EVERY === 0 && at + chunk.length <= RING.length;
  if (
    chunk[0] !== RING[at] ||
    chunk.at(-1) !== RING[(at + chunk.length - 1) % RING.length] ||
    (whole && RING.compare(chunk, 0, chunk.length, at, at + chunk.length) !== 0)
  ) {
    fail(`byte ${received} and the ${chunk.length} that follow are not what was sent`);
  }
  received += chunk.length;
  callback();
}

function bytesThatDiffer(bytes: number): Buffer {
  const ring = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 4) ring.writeInt32LE(Math.imul(at + 1, 0x9e3779b1), at);
  return ring;
}
