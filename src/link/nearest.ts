/** The word of `known` that `word` is a misspelling of: of another case, or one or two letters away. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  // What is longer is no misspelling; it may be of any length, and would cost its length.
  if (word.length > MOST_CHARACTERS) return undefined;
  const allowed = word.length < LONG_WORD_CHARACTERS ? 1 : 2;
  let best: string | undefined;
  let least = allowed + 1;
  for (const candidate of known) {
    const edits = editsBetween(word.toLowerCase(), candidate.toLowerCase());
    if (edits < least) [best, least] = [candidate, edits];
  }
  return best;
}

const MOST_CHARACTERS = 40;
/** In a shorter word two letters are too large a part of it. */
const LONG_WORD_CHARACTERS = 6;

/** How many letters are missing, too many, wrong, or have changed places with their neighbour. */
function editsBetween(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const next = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      let edits = Math.min(last[column]! + 1, next[column - 1]! + 1, last[column - 1]! + (isSame ? 0 : 1));
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwapped) edits = Math.min(edits, beforeLast[column - 2]! + 1);
      next.push(edits);
    }
    beforeLast = last;
    last = next;
  }
  return last[b.length]!;
}
