/** What each frame must be like, as far as its header says, and sets of frames. */
import {
  DATA_ACK_NOW,
  DATA_BLOCKED,
  DATA_END_FINAL,
  DATA_END_MOVED,
  FLAG_DONE,
  FLAG_FALLBACK,
  FLAG_GOAWAY,
  FLAG_RESUME,
  FLAG_STOP,
  type FrameName,
  FrameType,
  MAX_ABORT_CODE_BYTES,
  MAX_CREDENTIALS_BYTES,
  MAX_DATA_BYTES,
  MAX_OPEN_PAYLOAD_BYTES,
  MAX_REASON_BYTES,
  PROOF_BYTES,
} from "./frames.ts";

const MAX_HELLO_BYTES = 180 + MAX_CREDENTIALS_BYTES + MAX_OPEN_PAYLOAD_BYTES;

/** What a frame must be like: the flags that it may have, and the least and the most bytes of its body. */
interface Limits {
  readonly flags: number;
  readonly minBytes: number;
  readonly maxBytes: number;
}

const LIMITS: Record<FrameName, Limits> = {
  hello: { flags: FLAG_STOP | FLAG_DONE | FLAG_RESUME | FLAG_FALLBACK, minBytes: 180, maxBytes: MAX_HELLO_BYTES },
  welcome: { flags: FLAG_STOP | FLAG_DONE | FLAG_GOAWAY, minBytes: 64, maxBytes: 64 },
  refuse: { flags: 0, minBytes: 8, maxBytes: 8 },
  confirm: { flags: 0, minBytes: PROOF_BYTES, maxBytes: PROOF_BYTES },
  data: {
    flags: DATA_END_FINAL | DATA_END_MOVED | DATA_ACK_NOW | DATA_BLOCKED,
    minBytes: 8,
    maxBytes: 8 + MAX_DATA_BYTES,
  },
  ack: { flags: FLAG_STOP | FLAG_DONE, minBytes: 20, maxBytes: 20 },
  ping: { flags: 0, minBytes: 8, maxBytes: 8 },
  pong: { flags: 0, minBytes: 8, maxBytes: 8 },
  standby: { flags: FLAG_STOP | FLAG_DONE | FLAG_RESUME, minBytes: 180, maxBytes: MAX_HELLO_BYTES },
  ready: { flags: 0, minBytes: 0, maxBytes: 0 },
  commit: { flags: FLAG_STOP | FLAG_DONE, minBytes: 20, maxBytes: 20 },
  committed: { flags: FLAG_STOP | FLAG_DONE | FLAG_GOAWAY, minBytes: 20, maxBytes: 20 },
  goaway: { flags: 0, minBytes: 4, maxBytes: 4 },
  reset: { flags: 0, minBytes: 12, maxBytes: 12 + MAX_ABORT_CODE_BYTES },
  reason: { flags: 0, minBytes: 0, maxBytes: MAX_REASON_BYTES },
  later: { flags: 0, minBytes: 4, maxBytes: 4 },
};

export interface Rule extends Limits {
  readonly name: FrameName;
  readonly type: number;
  /** The frame's bit in a mask of 32. */
  readonly bit: number;
}

/** By type; undefined: an unknown one. */
export const RULES: readonly (Rule | undefined)[] = (() => {
  const rules: (Rule | undefined)[] = Array.from({ length: 256 });
  for (const [at, name] of (Object.keys(FrameType) as FrameName[]).entries()) {
    rules[FrameType[name]] = { name, type: FrameType[name], bit: 1 << at, ...LIMITS[name] };
  }
  return rules;
})();

/** The set of frames that are legal now, as a mask for `FrameDecoder.expect`. */
export function frameMask(...names: FrameName[]): number {
  return names.reduce((mask, name) => mask | (RULES[FrameType[name]] as Rule).bit, 0);
}
