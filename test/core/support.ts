/** What several tests of the core share: budgets that count, and everything that a stream of bytes decodes to. */
import type { Fault } from "../../src/core/wire/faults.ts";
import { FrameDecoder, type FrameSink } from "../../src/core/wire/decoder.ts";
import { frameMask } from "../../src/core/wire/frame-rules.ts";
import {
  encodeConfirm,
  encodeGoaway,
  encodeHello,
  encodePositionsFrame,
  encodeReady,
  encodeLater,
  encodeReason,
  encodeRefuse,
  encodeReset,
  encodeToken,
  encodeWelcome,
  type Frame,
  type FrameName,
  FrameType,
} from "../../src/core/wire/frames.ts";
import { Account, type Budget } from "../../src/core/log/window.ts";

/** Knows what was taken, and fails when more is given back, or when it is asked for nothing. */
export class CountingBudget implements Budget {
  taken = 0;
  /** False: no account gets more than its minimum. */
  lends = true;
  readonly most: number;

  constructor(most: number = Infinity) {
    this.most = most;
  }

  get freeBytes(): number {
    return this.lends ? this.most - this.taken : -Infinity;
  }

  borrow(bytes: number): void {
    if (!(bytes > 0)) throw new Error(`${bytes} bytes were borrowed`);
    this.taken += bytes;
  }

  give(bytes: number): void {
    if (!(bytes > 0)) throw new Error(`${bytes} bytes were given back`);
    this.taken -= bytes;
    if (this.taken < 0) throw new Error("more was given back than was taken");
  }
}

/** For a log that nobody else has to share with. */
export function ampleAccount(): Account {
  return new Account(0, new CountingBudget());
}

export const EVERY_FRAME: number = frameMask(...(Object.keys(FrameType) as FrameName[]));

export interface Data {
  type: "data";
  offset: number;
  bytes: Buffer;
  flags: number;
}

/** Keeps what a decoder hands out, each piece of DATA by itself. */
export class Collector implements FrameSink {
  readonly seen: Array<Frame | Data> = [];

  onFrame(frame: Frame): void {
    this.seen.push(frame);
  }

  onData(offset: number, bytes: Buffer, flags: number): void {
    this.seen.push({ type: "data", offset, bytes: Buffer.from(bytes), flags });
  }
}

/** All frames of a stream that is meant to be sound. */
export function decoded(bytes: Buffer | readonly Buffer[]): Array<Frame | Data> {
  const sink = new Collector();
  const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.concat(bytes);
  const problem: Fault | undefined = new FrameDecoder(EVERY_FRAME).push(chunk, sink);
  if (problem !== undefined) throw new Error(`${problem.code}: ${problem.detail}`);
  return sink.seen;
}

/** The DATA frames among them. */
export function decodedData(bytes: Buffer | readonly Buffer[]): Data[] {
  return decoded(bytes).filter((frame): frame is Data => frame.type === "data");
}

export function encodeAgain(frame: Frame): Buffer {
  switch (frame.type) {
    case "hello":
    case "standby":
      return encodeHello(frame.type, frame.hello);
    case "welcome":
      return encodeWelcome(frame.welcome);
    case "refuse":
      return encodeRefuse(frame.code, frame.retryAfterMs);
    case "confirm":
      return encodeConfirm(frame.mac);
    case "ack":
    case "commit":
      return encodePositionsFrame(frame.type, frame.positions);
    case "committed":
      return encodePositionsFrame(frame.type, frame.positions, frame.goaway);
    case "ping":
    case "pong":
      return encodeToken(frame.type, frame.token);
    case "ready":
      return encodeReady();
    case "goaway":
      return encodeGoaway(frame.deadlineMs);
    case "reset":
      return encodeReset(frame.code, frame.accepted, frame.reason);
    case "reason":
      return encodeReason(frame.text);
    case "later":
      return encodeLater(frame.retryAfterMs);
  }
}
