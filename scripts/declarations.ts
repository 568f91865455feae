/** The declarations of the package: what its users see of it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";

/** The files that the two entry points lead to, by their paths in `folder`, where TypeScript has written them. */
export function declarationFiles(folder: string): readonly string[] {
  const files = new Set(["index.d.ts", "testing/index.d.ts"]);
  for (const path of files) {
    const text = readFileSync(join(folder, path), "utf8");
    for (const [, from = ""] of text.matchAll(/(?:from|import\() ?"(\.[^"]+)\.[jt]s"/gu)) {
      files.add(posix.join(posix.dirname(path), `${from}.d.ts`));
    }
  }
  return [...files].toSorted();
}

/** docs/api has it, and so shows of which declarations it was made. */
export function stampOf(folder: string): string {
  const hash = createHash("sha256");
  for (const path of declarationFiles(folder)) hash.update(path).update(readFileSync(join(folder, path)));
  return `<!-- declarations: ${hash.digest("hex").slice(0, 32)} -->`;
}
