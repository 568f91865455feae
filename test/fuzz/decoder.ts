/**
 * Fuzzed inputs into the decoder. Each goes in twice, whole and in pieces: what comes out must be the same, frames or a typed
 * fault, and never a throw; after a fault nothing; and what it allocates for a peer that has said nothing yet is bounded.
 */
import { FrameDecoder } from "../../src/core/wire/decoder.ts";
import type { Fault } from "../../src/core/wire/faults.ts";
import {
  encodeReady,
  type Frame,
  FRAME_HEADER_BYTES,
  FrameType,
  MAX_CREDENTIALS_BYTES,
  MAX_OPEN_PAYLOAD_BYTES,
} from "../../src/core/wire/frames.ts";
import { encodeAgain, EVERY_FRAME } from "../core/support.ts";
import { footprint, type Footprint } from "../endurance/footprint.ts";
import { type Input, Inputs } from "./inputs.ts";

/** The largest frame that is gathered whole. */
const MOST_HELD_BYTES = FRAME_HEADER_BYTES + 180 + MAX_CREDENTIALS_BYTES + MAX_OPEN_PAYLOAD_BYTES;
/** Less than that is not the largest that was held: then it is not seen any more what is. */
const LEAST_SEEN_BYTES = 4_096;
const FAULT_CODES = ["bad-frame", "oversized", "impossible-position"];
/** From so many on everything must have been seen. */
const ENOUGH_INPUTS = 50_000;
/** Before it is compared, whatever is made once was made. */
const WARM_UP_INPUTS = 20_000;
const AT_A_TIME = 2_000;

export interface DecoderRun {
  inputs: number;
  bytes: number;
  /** How many of each frame came out, and of each fault. */
  frames: Map<string, number>;
  faults: Map<string, number>;
  largestHeldBytes: number;
  before: Footprint;
  after: Footprint;
  problems: string[];
}

export async function fuzzDecoder(
  inputs: number,
  seed: number,
  onProgress: (done: number) => void,
): Promise<DecoderRun> {
  const fuzz = new DecoderFuzz(seed);
  const unwatch = watchHeld((bytes) => (fuzz.largestHeldBytes = Math.max(fuzz.largestHeldBytes, bytes)));
  try {
    const warmUp = Math.min(WARM_UP_INPUTS, Math.ceil(inputs / 4));
    await fuzz.run(warmUp, onProgress);
    const before = await footprint();
    await fuzz.run(inputs, onProgress);
    const after = await footprint();
    const { bytes, frames, faults, largestHeldBytes, problems } = fuzz;
    if (largestHeldBytes > MOST_HELD_BYTES) problems.push(`${largestHeldBytes} bytes were held for one frame`);
    if (inputs >= ENOUGH_INPUTS && problems.length === 0) problems.push(...fuzz.missing());
    return { inputs, bytes, frames, faults, largestHeldBytes, before, after, problems };
  } finally {
    unwatch();
  }
}

/** What a decoder keeps between two chunks is made by `allocUnsafeSlow`, and by nothing else. */
function watchHeld(onHeld: (bytes: number) => void): () => void {
  const original = Buffer.allocUnsafeSlow;
  Buffer.allocUnsafeSlow = (bytes) => {
    onHeld(bytes);
    return original(bytes);
  };
  return () => {
    Buffer.allocUnsafeSlow = original;
  };
}

class DecoderFuzz {
  bytes = 0;
  largestHeldBytes = 0;
  readonly frames = new Map<string, number>();
  readonly faults = new Map<string, number>();
  readonly problems: string[] = [];
  readonly #inputs: Inputs;
  readonly #whole = new Transcript(this.frames);
  readonly #pieces = new Transcript(undefined);
  #done = 0;

  constructor(seed: number) {
    this.#inputs = new Inputs(seed);
  }

  /** Until so many were made in all, or one has failed. */
  async run(upTo: number, onProgress: (done: number) => void): Promise<void> {
    while (this.#done < upTo && this.problems.length === 0) {
      for (const end = Math.min(upTo, this.#done + AT_A_TIME); this.#done < end; this.#done++) {
        const input = this.#inputs.next();
        const problem = this.#try(input);
        if (problem === undefined) continue;
        const where = `input ${this.#done}: ${input.bytes.toString("hex")}, cut at ${input.cuts.join(" ")}`;
        this.problems.push(`${problem}\n  ${where}`);
        return;
      }
      onProgress(this.#done);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #try({ bytes, cuts }: Input): string | undefined {
    const [whole, pieces] = [this.#whole, this.#pieces];
    this.bytes += bytes.length;
    try {
      const fault = whole.take(bytes, []);
      pieces.take(bytes, cuts);
      if (!whole.equals(pieces)) return "cut into pieces, it gives something else";
      if (whole.wentOn || pieces.wentOn) return "something came after a fault";
      if (fault === undefined) return undefined;
      if (!FAULT_CODES.includes(fault.code) || fault.detail === "") return `no fault of ours: ${fault.code}`;
      this.faults.set(fault.code, (this.faults.get(fault.code) ?? 0) + 1);
      return undefined;
    } catch (error) {
      return `it threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    }
  }

  /** Frames, faults and memory that no input has led to: then the inputs, or the watch, are not what they are meant to be. */
  missing(): string[] {
    const missed = [
      ...Object.keys(FrameType).filter((name) => !this.frames.has(name)),
      ...FAULT_CODES.filter((code) => !this.faults.has(code)),
      ...(this.largestHeldBytes < LEAST_SEEN_BYTES ? [`${LEAST_SEEN_BYTES} bytes held for a frame`] : []),
    ];
    return missed.map((what) => `no input has led to ${what}`);
  }
}

const AFTER_A_FAULT = encodeReady();

/** Everything that a decoder made of an input, as bytes: frames encoded again, DATA joined however it came. */
class Transcript {
  wentOn = false;
  readonly #counts: Map<string, number> | undefined;
  readonly #bytes: Buffer = Buffer.alloc(600_000);
  #used = 0;
  /** Where DATA goes on, if it does. */
  #next = -1;

  constructor(counts: Map<string, number> | undefined) {
    this.#counts = counts;
  }

  take(bytes: Buffer, cuts: readonly number[]): Fault | undefined {
    const decoder = new FrameDecoder(EVERY_FRAME);
    this.#used = 0;
    this.#next = -1;
    this.wentOn = false;
    let fault: Fault | undefined;
    let from = 0;
    for (let cut = 0; cut <= cuts.length && fault === undefined; cut++) {
      const to = cuts[cut] ?? bytes.length;
      fault = decoder.push(bytes.subarray(from, to), this);
      from = to;
    }
    if (fault === undefined) return undefined;
    this.#write(Buffer.from(`${fault.code} ${fault.detail}`));
    const usedAtFault = this.#used;
    const again = decoder.push(AFTER_A_FAULT, this);
    this.wentOn = again !== undefined || this.#used !== usedAtFault;
    return fault;
  }

  equals(other: Transcript): boolean {
    return this.#bytes.subarray(0, this.#used).equals(other.#bytes.subarray(0, other.#used));
  }

  onFrame(frame: Frame): void {
    this.#next = -1;
    this.#count(frame.type);
    this.#write(encodeAgain(frame));
    if ("raw" in frame) this.#write(frame.raw);
  }

  onData(offset: number, bytes: Buffer, flags: number): void {
    if (offset !== this.#next) {
      this.#count("data");
      this.#write(Buffer.from(`data ${offset} `));
    }
    this.#write(bytes);
    this.#next = offset + bytes.length;
    if (flags === 0) return;
    this.#write(Buffer.of(flags));
    this.#next = -1;
  }

  #write(bytes: Buffer): void {
    this.#used += bytes.copy(this.#bytes, this.#used);
  }

  #count(name: string): void {
    this.#counts?.set(name, (this.#counts.get(name) ?? 0) + 1);
  }
}
