/** Which server the first bytes of a connection are for, without a look at the rest: a HELLO that resumes names one. */
import {
  FLAG_RESUME,
  FRAME_HEADER_BYTES,
  FrameType,
  HELLO_MAGIC,
  INCARNATION_AT,
  SERVER_ID_BYTES,
} from "../wire/frames.ts";

const NAME_END: number = INCARNATION_AT + SERVER_ID_BYTES;
const TYPES: ReadonlySet<number | undefined> = new Set([FrameType.hello, FrameType.standby]);

/**
 * Answers the server's id; "anybody" for an open, and for whatever is no HELLO and no STANDBY: any server can judge it;
 * "incomplete" while that cannot be seen.
 */
export function namedServer(bytes: Buffer): { serverId: string } | "anybody" | "incomplete" {
  if (bytes.length < 2) return "incomplete";
  if (!TYPES.has(bytes[0]) || ((bytes[1] as number) & FLAG_RESUME) === 0) return "anybody";
  const hasMagic = bytes.length >= FRAME_HEADER_BYTES + 4;
  if (hasMagic && bytes.readUInt32BE(FRAME_HEADER_BYTES) !== HELLO_MAGIC) return "anybody";
  if (bytes.length < NAME_END) return "incomplete";
  return { serverId: bytes.toString("hex", INCARNATION_AT, NAME_END) };
}
