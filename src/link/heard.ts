/** The first bytes of a connection that speaks another protocol, as text for an error. */
import { FIRST_BYTES, isRequest, strangerIn } from "../core/wire/strangers.ts";

/**
 * Shows the bytes, with escapes, and says who may speak so. Only the second where the bytes may quote a password that
 * this end has sent: on a plain link, and of a request, which a server has sent back. Undefined if nothing is left.
 */
export function heardText(first: Uint8Array, { isPlain }: { isPlain: boolean }): string | undefined {
  const who = strangerIn(first);
  if (isPlain || isRequest(first)) return who === undefined ? undefined : `what was heard looks like ${who}`;
  const shown = Array.from(first.subarray(0, FIRST_BYTES), shownByte).join("");
  const more = first.length > FIRST_BYTES ? "…" : "";
  return `what was heard is "${shown}${more}"${who === undefined ? "" : `, which looks like ${who}`}`;
}

function shownByte(byte: number): string {
  if (byte === 0x0a) return "\\n";
  if (byte === 0x0d) return "\\r";
  if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}
