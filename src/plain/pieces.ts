/** A message and the bytes that frame it, for the wire. */

/** Up to this size it is cheaper to copy a message beside its frame than to write two pieces. */
export const COPIED_BYTES = 2_048;

/** The message, and a short ending behind it: copied together if the message is small. */
export function ended(message: Buffer, ending: Buffer): Buffer | readonly Buffer[] {
  const { length } = message;
  if (length > COPIED_BYTES) return [message, ending];
  const whole = Buffer.allocUnsafe(length + ending.length);
  whole.set(message);
  // A loop is faster for so few bytes.
  for (let at = 0; at < ending.length; at++) whole[length + at] = ending[at] as number;
  return whole;
}
