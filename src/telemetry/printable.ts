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

/** Of the message of an error that something beside us has made. */
export const MOST_MESSAGE_CHARACTERS = 500;

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
