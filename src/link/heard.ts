/** The first bytes of a connection that speaks another protocol, as text for an error or a log line. */
import { FIRST_BYTES, strangerIn } from "../core/wire/strangers.ts";

/** Shows the bytes with escapes, and says who may speak so: `"HTTP/1.1 400 Bad Request\r\n", which looks like HTTP`. */
export function heardText(first: Uint8Array): string {
  const who = strangerIn(first);
  const shown = Array.from(first.subarray(0, FIRST_BYTES), shownByte).join("");
  const more = first.length > FIRST_BYTES ? "…" : "";
  return `"${shown}${more}"${who === undefined ? "" : `, which looks like ${who}`}`;
}

function shownByte(byte: number): string {
  if (byte === 0x0a) return "\\n";
  if (byte === 0x0d) return "\\r";
  if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}
