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

/** What is wrong with the tables of a page, each fault with its line. */
export function brokenTables(markdown: string): string[] {
  const lines = markdown.replaceAll(/^```.*?^```/gmsu, (code) => code.replaceAll(/.+/gu, "code")).split("\n");
  const faults: string[] = [];
  /** The cells of the table that the line before belongs to. */
  let cells = 0;
  for (const [at, line] of lines.entries()) {
    const say = (fault: string): number => faults.push(`${at + 1}: ${fault}`);
    if (!line.startsWith("|")) {
      if (cells > 0 && line.trim() !== "") say("text that is taken for a row");
      cells = 0;
    } else if (cells > 0) {
      if (cellsOf(line) !== cells) say(`${cellsOf(line)} cells, and not ${cells}`);
    } else if (!/^\|(?:\s*:?-+:?\s*\|)+$/u.test(lines[at + 1] ?? "")) {
      say("a row outside of a table");
    } else {
      if ((lines[at - 1] ?? "").trim() !== "") say("a table that is taken for the text above it");
      cells = cellsOf(line);
    }
  }
  return faults;
}

function cellsOf(row: string): number {
  return row.replaceAll("\\|", "").split("|").length - 2;
}
