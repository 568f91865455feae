/**
 * Makes foreign text (of a peer, a certificate, a function of the application) safe for an error's message or a log
 * line: the text must not begin a new line, nor colour, hide or reverse the text beside it.
 */

/**
 * Characters without a visible shape: control characters, such as newlines and ANSI's escape; bidi controls and other
 * invisible characters; line and paragraph separators; halves of surrogate pairs.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** The most characters of the message of an error that other code has made. */
export const MOST_MESSAGE_CHARACTERS = 500;

/**
 * The text with escapes for invisible characters: `\n`, `\x1b`, `\u202e`. Text above `maxLength` characters is cut off
 * and ends with an ellipsis. Applied a second time it changes nothing.
 */
export function printable(text: string, maxLength = 200): string {
  if (text.length <= maxLength && !UNPRINTABLE.test(text)) return text;
  let shown = "";
  let fits = "";
  // By code points, so that no pair is cut in two. Only as much text is read as can be shown.
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
