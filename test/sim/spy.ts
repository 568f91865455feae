/** Notes the frames that a process writes and receives, for who reads a trace. */
import { FrameDecoder } from "../../src/core/wire/decoder.ts";
import type { Frame } from "../../src/core/wire/frames.ts";
import { EVERY_FRAME } from "../core/support.ts";
import type { Stage } from "./stage.ts";

export class Spy {
  readonly #stage: Stage;
  readonly #name: string;
  readonly #decoders = new Map<string, FrameDecoder>();

  constructor(stage: Stage, name: string) {
    this.#stage = stage;
    this.#name = name;
  }

  sees(did: "wrote" | "received", channel: number, bytes: Buffer): void {
    const key = `${did} ${channel}`;
    const decoder = this.#decoders.get(key) ?? new FrameDecoder(EVERY_FRAME);
    this.#decoders.set(key, decoder);
    const note = (what: string): void => this.#stage.whisper(`${this.#name} ${did} on ${channel}: ${what}`);
    const problem = decoder.push(bytes, {
      onFrame: (frame) => note(describe(frame)),
      onData: (offset, { length }, flags) => note(`data ${offset} to ${offset + length} flags ${flags}`),
    });
    if (problem !== undefined) note(`${problem.code}: ${problem.detail}`);
  }
}

function describe(frame: Frame): string {
  switch (frame.type) {
    case "hello":
    case "standby": {
      const { resume, sessionId, generation, positions } = frame.hello;
      const what = resume ? "resume" : "open";
      return `${frame.type} ${what} ${sessionId.slice(0, 4)} generation ${generation.counter} ${JSON.stringify(positions)}`;
    }
    case "welcome":
      return `welcome ${frame.welcome.result} ${JSON.stringify(frame.welcome.positions)}`;
    case "ack":
    case "commit":
    case "committed":
      return `${frame.type} ${JSON.stringify(frame.positions)}`;
    case "refuse":
    case "reset":
      return `${frame.type} ${frame.code}`;
    case "reason":
      return `reason ${frame.text}`;
    case "confirm":
    case "ping":
    case "pong":
    case "ready":
    case "goaway":
    case "later":
      return frame.type;
  }
}
