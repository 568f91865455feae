/** What the documents name exists, and what exists by name is in the documents. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { REFUSE_CODES, RESET_CODES } from "../../src/core/wire/frames.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");
const DOCUMENTS = [
  "README.md",
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  ...readdirSync(new URL("docs", ROOT)).map((name) => `docs/${name}`),
].filter((path) => path.endsWith(".md"));

/** As GitHub makes them of headings. */
function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gmu)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** The members of a union of strings, as its source has them. */
function union(path: string, name: string): string[] {
  const [, members = ""] = new RegExp(`type ${name} =([^;]*);`, "u").exec(read(path)) ?? [];
  return [...members.replaceAll(/\/\*\*.*?\*\//gsu, "").matchAll(/"([^"]+)"/gu)].map(([, member = ""]) => member);
}

test.each(DOCUMENTS)("the links of %s lead somewhere", (path) => {
  const markdown = read(path);
  const dead = [...markdown.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/gu)].filter(([, file = "", anchor]) => {
    const target = new URL(file === "" ? path.replace(/.*\//u, "") : file, new URL(path, ROOT));
    if (!existsSync(target)) return true;
    return anchor !== undefined && !anchors(readFileSync(target, "utf8")).includes(anchor);
  });
  expect(dead.map(([link]) => link)).toEqual([]);
});

test.each(DOCUMENTS)("the scripts and files that %s names exist", (path) => {
  const markdown = read(path);
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const missing = [
    ...[...markdown.matchAll(/npm run (?:--silent )?([\w:]+)/gu)].filter(([, name = ""]) => !(name in scripts)),
    ...[...markdown.matchAll(/\b(?:examples|src|scripts|test)\/[\w/.-]+\.ts\b/gu)].filter(
      ([file]) => !existsSync(new URL(file, ROOT)),
    ),
  ];
  expect(missing.map(([name]) => name)).toEqual([]);
});

test("ARCHITECTURE.md lists every file of the core, and no other", () => {
  const [, section = ""] = /### What is in the core(.*?)\n## /su.exec(read("ARCHITECTURE.md")) ?? [];
  const listed = [...section.matchAll(/`([\w/-]+\.ts)`/gu)].map(([, name]) => name);
  const core = readdirSync(new URL("src/core", ROOT), { encoding: "utf8", recursive: true });
  expect(new Set(listed)).toEqual(new Set(core.filter((name) => name.endsWith(".ts"))));
});

test("docs/delivery.md lists every error code, and no other", () => {
  const [, section = ""] = /\n## Errors(.*)/su.exec(read("docs/delivery.md")) ?? [];
  const listed = [...section.matchAll(/^\| `([A-Z_]+)`/gmu)].map(([, code]) => code);
  expect(new Set(listed)).toEqual(new Set(union("src/link/errors.ts", "ErrorCode")));
  expect(listed.length).toBeGreaterThan(20);
});

test("docs/metrics.md lists every log line, ending and refusal", () => {
  const document = read("docs/metrics.md");
  const events = union("src/telemetry/logger.ts", "LogEvent");
  const listed = [...document.matchAll(/^\| `([a-z]+\.[a-z-]+)`/gmu)].map(([, event]) => event);
  expect(events.length).toBeGreaterThan(10);
  expect(new Set(listed)).toEqual(new Set(events));
  const names = [
    ...union("src/core/session/link-events.ts", "Outcome"),
    ...union("src/core/wire/faults.ts", "FaultCode"),
    ...Object.keys(REFUSE_CODES),
  ];
  expect(names.length).toBeGreaterThan(20);
  expect(names.filter((name) => !document.includes(`\`${name}\``))).toEqual([]);
});

test("docs/protocol.md has the number of every code", () => {
  const document = read("docs/protocol.md");
  const codes = [...Object.entries(REFUSE_CODES), ...Object.entries(RESET_CODES)];
  expect(codes.filter(([name, number]) => !document.includes(`\n| ${number} | ${name} |`))).toEqual([]);
});
