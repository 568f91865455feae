/** A document that says something wrong fails when it is played. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { walkThrough } from "./walkthrough.ts";

async function played(markdown: string, ...replacements: Array<[string, string]>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "resplice-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await walkThrough(markdown, folder, replacements);
}

const block = (mark: string, code: string): string => `<!-- ${mark} -->\n\`\`\`text\n${code}\n\`\`\`\n`;
const ECHO = block("file: echo.sh", "while read -r line; do echo heard; done") + block("terminal 1", "sh echo.sh");

test("files are written, commands run, keys pressed; other lines may come in between", async () => {
  await played(
    [
      "# A page\n",
      block("file: count.sh", "echo 1; echo 2; echo between; echo 3; read -r line; echo last of 4711"),
      block("terminal 1", "sh count.sh"),
      block("terminal 1 shows", "1\n2\n3"),
      "<!-- terminal 1: Enter -->\n",
      block("terminal 1 shows", "last of …"),
      block("not run: it is dangerous", "exit 1"),
      ECHO,
      "<!-- terminal 1: Enter -->\n",
      block("terminal 1 shows", "heard"),
      "<!-- terminal 1: Ctrl-C -->\n",
      block("terminal 1", "echo again"),
      block("terminal 1 shows", "again"),
    ].join("\n"),
  );
});

test.each([
  [
    "a line that does not come",
    block("terminal 1", "echo one") + block("terminal 1 shows", "two"),
    'show "two", but\none',
  ],
  [
    "lines in another order",
    block("terminal 1", "echo one; echo two") + block("terminal 1 shows", "two\none"),
    'show "one", but',
  ],
  ["a part of a line", block("terminal 1", "echo one two") + block("terminal 1 shows", "one"), 'show "one", but'],
  ["an error", block("terminal 1", "nonsense-of-ours") + block("terminal 1 shows", "ok"), "nonsense-of-ours"],
  ["a key where nothing runs", "<!-- terminal 2: Ctrl-C -->\n", "nothing runs in terminal 2"],
  ["a block without a mark", "```sh\nls\n```\n", "1 blocks of code have no mark"],
  ["a mark that is none", block("terminal one", "ls"), 'what is "terminal one"?'],
])("%s fails", async (_, markdown, says) => {
  await expect(played(markdown)).rejects.toThrow(says);
});

test("what is replaced has to be there", async () => {
  await expect(played(ECHO, ["7000", "7001"])).rejects.toThrow("has no 7000");
});
