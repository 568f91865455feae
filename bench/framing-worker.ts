/** Decodes a line again and again, or joins its chunks. */
import { lines, MiB } from "resplice";
import { answerCalls } from "./calls.ts";
import type { Side } from "./contenders.ts";
import { fail, given } from "./worker.ts";

export type FramingCommands = {
  /** Answers how many milliseconds each time took. */
  decode(times: number): number[];
};

const LINE_BYTES = 8 * MiB;
/** What a path with an MTU of 1,500 brings at a time. */
const CHUNK_BYTES = 1_460;

const side = given() as Side;
const framing = lines();

answerCalls({
  decode: (times) => Array.from({ length: times }, () => decodeOnce(chunksOfLine())),
} satisfies FramingCommands);

/** Each with memory of its own, as from a socket. */
function chunksOfLine(): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at <= LINE_BYTES; at += CHUNK_BYTES) {
    chunks.push(Buffer.alloc(Math.min(CHUNK_BYTES, LINE_BYTES + 1 - at), "x"));
  }
  const last = chunks.at(-1) as Buffer;
  last[last.length - 1] = 0x0a;
  return chunks;
}

function decodeOnce(chunks: readonly Buffer[]): number {
  let received = 0;
  const fromMs = performance.now();
  if (side === "reference") {
    received = Buffer.concat(chunks).length - 1;
  } else {
    const decoder = framing.decoder({ maxMessageBytes: 2 * LINE_BYTES });
    for (const chunk of chunks) decoder.decode(chunk, (line) => void (received = line.length));
  }
  const tookMs = performance.now() - fromMs;
  if (received !== LINE_BYTES) fail(`a line of ${received} bytes`);
  return tookMs;
}
