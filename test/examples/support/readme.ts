import { readFile } from "node:fs/promises";

/** The program in README.md. */
export async function readmeProgram(): Promise<string> {
  const readme = await readFile(new URL("../../../README.md", import.meta.url), "utf8");
  return /<!-- runs in test\/examples\/readme.test.ts -->\n```js\n(.*?)```/su.exec(readme)?.[1] ?? "";
}
