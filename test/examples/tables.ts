/** The tables of a document. */
import { readFileSync } from "node:fs";

const ROOT = new URL("../../", import.meta.url);

export function read(path: string): string {
  return readFileSync(new URL(path, ROOT), "utf8");
}

/** The text below a heading of the second level. */
export function section(page: string, title: string): string {
  return new RegExp(`\n## ${title}\n(.*?)(?=\n## |$)`, "su").exec(page)?.[1] ?? "";
}

/** The cells of the rows below a heading that begin with a name in backticks: all but those of a table's head. */
export function rows(page: string, title: string): string[][] {
  const lines = section(page, title)
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  return lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
