/**
 * Text that somebody else wrote (a peer, a certificate, a hook of the application's) and that is to stand in an error's
 * message or in a log line: it may not begin a line of its own, nor colour, hide or turn round what stands beside it.
 */

/**
 * What has no shape of its own: control characters and newlines, ANSI's escape among them; bidi controls and what else is
 * invisible; separators of lines; halves of surrogate pairs.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * The text with escapes for what cannot be seen, `\n` or `\x1b` or `\u202e`. What does not fit into `maxLength` characters
 * is cut off, and an ellipsis stands for it. Applied twice it changes nothing more.
 */
export function printable(text: string, maxLength = 200): string {
  if (text.length <= maxLength && !UNPRINTABLE.test(text)) return text;
  let shown = "";
  let fits = "";
  // By code points: none is cut in two. No more is looked at than can be shown.
  for (const character of text.slice(0, maxLength + 1)) {
    shown += UNPRINTABLE.test(character) ? escaped(character) : character;
    if (shown.length > maxLength) return `${fits}…`;
    if (shown.length < maxLength) fits = shown;
  }
  return shown;
}

function escaped(character: string): string {
  const known = ESCAPES[character];
  if (known !== undefined) return known;
  const hex = (character.codePointAt(0) ?? 0).toString(16);
  if (hex.length <= 2) return `\\x${hex.padStart(2, "0")}`;
  return hex.length <= 4 ? `\\u${hex.padStart(4, "0")}` : `\\u{${hex}}`;
}

/** What was thrown, in words, whatever it is: a hook may throw what cannot be made a string of. Not made printable yet. */
export function messageOf(thrown: unknown): string {
  try {
    if (!(thrown instanceof Error)) return String(thrown);
    // Node's error for a name with several addresses has a code, and no message.
    const message: unknown = thrown.message;
    return String(message === "" && "code" in thrown ? thrown.code : message);
  } catch {
    return "something that cannot be shown";
  }
}
