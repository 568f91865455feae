/** Faults that wait for a frame: the moments at which a cut matters most are short, and chance seldom finds them. */
import type { Direction } from "../../src/testing/faults.ts";
import type { SimSocket, Wire } from "../../src/testing/network.ts";
import {
  DATA_END_FINAL,
  DATA_END_MOVED,
  FLAG_DONE,
  FRAME_HEADER_BYTES,
  FrameType,
} from "../../src/core/wire/frames.ts";
import type { FaultOf, TrappedFrame } from "./fault-kinds.ts";

export interface Trap {
  readonly from: string;
  readonly frame: TrappedFrame;
  /** So many of them pass. */
  left: number;
  before(socket: SimSocket): void;
  after(socket: SimSocket): void;
}

interface Ground {
  readonly traps: Set<Trap>;
  count(what: string): void;
}

export function layTrap(ground: Ground, { name }: { name: string }, fault: FaultOf<"trap">): void {
  const { frame, nth, how, forMs } = fault;
  ground.traps.add({
    from: name,
    frame,
    left: nth,
    before: (socket) => {
      ground.count("fault trap");
      ground.count(`trapped ${frame}`);
      if (how === "swallow") socket.wire.swallow(directionOf(socket));
    },
    after: (socket) => {
      const { wire } = socket;
      if (how === "cut") wire.cut(forMs);
      if (how === "swallow the answer") wire.swallow(against(directionOf(socket)));
      if (how === "hold") wire.hold(directionOf(socket), forMs);
    },
  });
}

function directionOf(socket: SimSocket): Direction {
  const { wire }: { wire: Wire } = socket;
  return socket === wire.client ? "to-server" : "to-client";
}

function against(direction: Direction): Direction {
  return direction === "to-server" ? "to-client" : "to-server";
}

/** Those that these frames set off, once. */
export function springTraps(traps: Set<Trap>, socket: SimSocket, frames: Buffer): Trap[] {
  const sprung: Trap[] = [];
  for (const trap of traps) {
    if (trap.from !== socket.wire.from) continue;
    trap.left -= countOf(trap.frame, frames);
    if (trap.left > 0) continue;
    traps.delete(trap);
    sprung.push(trap);
  }
  return sprung;
}

/** How many such frames there are; what is written is always whole. */
function countOf(frame: TrappedFrame, bytes: Buffer): number {
  let found = 0;
  for (let at = 0; at < bytes.length; at += FRAME_HEADER_BYTES + bytes.readUInt32BE(at + 4)) {
    const flags = bytes[at + 1] as number;
    const type = bytes[at] as number;
    if (frame === "end") {
      if (type === FrameType.data && (flags & (DATA_END_FINAL | DATA_END_MOVED)) !== 0) found++;
    } else if (frame === "done") {
      if (type === FrameType.ack && (flags & FLAG_DONE) !== 0) found++;
    } else if (type === FrameType[frame]) {
      found++;
    }
  }
  return found;
}
