/** A deliberate break of the product, as data, and the source that it makes of the one file that it changes. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Mutant {
  name: string;
  /** The rule that is taken out. */
  rule: string;
  /** Of the counterexamples that test/sim/scenarios-*.test.ts are named after. */
  row?: number;
  /** From the root of the repository. */
  file: string;
  /** Occurs exactly once in the file. */
  find: string;
  replace: string;
  /** A second place in the same file, where one does not do. */
  and?: { find: string; replace: string };
  /** The test files that are to catch it. Without them the simulation is. */
  tests?: readonly string[];
}

export function absolute(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

/** The text of the mutant's file with the break in it. Throws where the list is not up to date with the sources. */
export function mutated({ name, file, find, replace, and }: Mutant): string {
  let text = readFileSync(absolute(file), "utf8");
  for (const edit of and === undefined ? [{ find, replace }] : [{ find, replace }, and]) {
    const [before, after, ...more] = text.split(edit.find);
    if (before === undefined || after === undefined || more.length > 0) {
      throw new Error(`${name}: not once in ${file}: ${edit.find}`);
    }
    text = before + edit.replace + after;
  }
  return text;
}
