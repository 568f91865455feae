/** The package as its users have it. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { declarationFiles, stampOf } from "../../scripts/declarations.ts";
import { readmeProgram } from "../examples/support/readme.ts";
import { unusedPort } from "../support.ts";
import { type Installed, installed, ROOT, run } from "./installed.ts";
import { walkThrough } from "./walkthrough.ts";

const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
const DIST = "node_modules/resplice/dist";
const SLOW = { timeout: 30_000 };
/** As jest and Node before 22.12 are: require() loads no ES modules. */
const NO_REQUIRED_ESM = "--no-experimental-require-module";
/** They are about the repository, and say so. */
const OF_THE_REPOSITORY = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

const folder = mkdtempSync(join(tmpdir(), "resplice-package-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }), 60_000);

let user: string;
let clone: string;
let files: Installed["files"];
beforeAll(async () => {
  ({ clone, user, files } = await installed(folder));
}, 120_000);

test("the program in README.md runs", SLOW, async () => {
  writeFileSync(join(user, "echo.mjs"), await readmeProgram());
  expect(await run(process.execPath, ["echo.mjs"], user)).toBe("pull the cable now\n");
});

test.for(["docs/tutorial.md", "README.ko.md"])("%s, typed as it stands there", { timeout: 120_000 }, async (path) => {
  const page = readFileSync(join(ROOT, path), "utf8");
  const ports = ["7000", "7001", "7002", "9401", "9402"].filter((port) => page.includes(port));
  const free = await Promise.all(ports.map(async (port) => [port, String(await unusedPort())] as const));
  // The pause between two orders: the test has no patience.
  await walkThrough(page, user, [...free, ["50)", "1)"]]);
});

test("the command says its version, and its help", SLOW, async () => {
  const resplice = join(user, "node_modules/.bin/resplice");
  expect(await run(resplice, ["--version"], user)).toBe(`${version}\n`);
  expect(await run(resplice, ["--help"], user)).toContain("resplice demo");
});

test("npx finds the command in a clone, which npm ci has built", SLOW, async () => {
  expect(await run("npx", ["--offline", "resplice", "--version"], clone)).toBe(`${version}\n`);
});

test("resplice/testing can be imported, what is inside cannot", SLOW, async () => {
  const names = `console.log(Object.keys(await import("resplice/testing")).join(" "))`;
  expect(await evaluate(names)).toBe("faultRelay linkPair\n");
  await expect(evaluate(`await import("resplice/dist/index.js")`)).rejects.toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
});

describe("documents", () => {
  test("those that README.md names are in the package, with the examples, and all their links lead somewhere", () => {
    const pages = files.filter((path) => path.endsWith(".md"));
    expect(pages).toEqual(
      expect.arrayContaining(["README.md", "README.ko.md", "SECURITY.md", "docs/delivery.md", "docs/api/resplice.md"]),
    );
    const there = (path: string): boolean => files.some((file) => file === path || file.startsWith(`${path}/`));
    const dead = pages.flatMap((page) =>
      [...readFileSync(join(ROOT, page), "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/gu)]
        .map(([, link = ""]) => posix.join(posix.dirname(page), link))
        .filter((path) => !there(path) && !(OF_THE_REPOSITORY.includes(page) && existsSync(join(ROOT, path))))
        .map((path) => `${page}: ${path}`),
    );
    expect(dead).toEqual([]);
  });

  test.for(OF_THE_REPOSITORY)("%s says that it is about the repository", (page) => {
    expect(readFileSync(join(ROOT, page), "utf8").slice(0, 1_000)).toMatch(/in the repository/u);
  });

  test("tests, and what builds the package, are not", () => {
    expect(files.filter((path) => /^(?:src|test|bench|scripts|mutants|model)\//u.test(path))).toEqual([]);
  });
});

describe("require()", () => {
  test("loads the same modules as import does", SLOW, async () => {
    const same = `
      import { createRequire } from "node:module";
      const require = createRequire(import.meta.url);
      for (const name of ["resplice", "resplice/testing"]) {
        const [required, imported] = [require(name), await import(name)];
        console.log(Object.keys(imported).length > 1 && Object.keys(imported).every((each) => required[each] === imported[each]));
      }`;
    expect(await evaluate(same)).toBe("true\ntrue\n");
  });

  test("loads a bundle with all that is exported where it can load no ES modules, as in jest", SLOW, async () => {
    const names = `console.log(JSON.stringify(["resplice", "resplice/testing"].map((name) => Object.keys(require(name)).sort())))`;
    const required = await run(process.execPath, [NO_REQUIRED_ESM, "--eval", names], user);
    const imported = `console.log(JSON.stringify((await Promise.all([import("resplice"), import("resplice/testing")])).map((each) => Object.keys(each).sort())))`;
    expect(required).toBe(await evaluate(imported));
  });

  test(
    "the program in README.md runs as CommonJS, and errors of both entry points are of one class",
    SLOW,
    async () => {
      const program = (await readmeProgram())
        .replace("import {", "const {")
        .replace('} from "resplice"', '} = require("resplice")');
      const both = `
      const { linkPair } = require("resplice/testing");
      try { linkPair({ nonsense: 1 }); } catch (error) { console.log(error instanceof require("resplice").RespliceError); }`;
      writeFileSync(join(user, "echo.cjs"), `(async () => {${program}${both}})();`);
      expect(await run(process.execPath, [NO_REQUIRED_ESM, "echo.cjs"], user)).toBe("pull the cable now\ntrue\n");
    },
  );

  test("the bundle has the licenses of the code in it", () => {
    const bundle = files
      .filter((path) => path.endsWith(".cjs"))
      .map((path) => read(path))
      .join("\n");
    for (const name of ["p-retry", "is-network-error"]) expect(bundle).toContain(`${name}:\nMIT License`);
  });
});

describe("the live page", () => {
  const FILES = ["dist/page/page.css", "dist/page/page.js"];

  test("is one script and one style, small, with the licenses of the code in them", () => {
    expect(files.filter((path) => path.startsWith("dist/page/"))).toEqual(FILES);
    const [style = "", script = ""] = FILES.map(read);
    expect(style.length + script.length).toBeLessThan(160_000);
    for (const name of ["htm", "preact", "uplot"]) expect(script).toContain(`\n${name}:\n`);
    expect(style).toContain("uplot:\nThe MIT License");
    // Nothing is loaded from elsewhere.
    expect(style).not.toMatch(/@import|url\(/u);
    expect(script).not.toMatch(/\bimport\b ?["'({]|\beval\(/u);
  });

  test("is served by the package, as modules and as CommonJS", SLOW, async () => {
    const play = `
      const { port } = await resplice.monitor({ port: 0, sources: [new resplice.ConnectionManager()] }).listening();
      for (const path of ["", "page.js", "page.css"]) {
        const answer = await fetch("http://127.0.0.1:" + port + "/" + path);
        console.log(answer.status, (await answer.text()).length > 500);
      }`;
    const all = "200 true\n".repeat(3);
    expect(await evaluate(`import * as resplice from "resplice";${play}`)).toBe(all);
    const required = `const resplice = require("resplice"); (async () => {${play}})();`;
    expect(await run(process.execPath, [NO_REQUIRED_ESM, "--eval", required], user)).toBe(all);
  });
});

describe("types", () => {
  const PROGRAM = `
    import { ConnectionManager, KiB, type Link, lines, plain, RespliceError, ServerSupervisor } from "resplice";
    import { linkPair, type LinkPair } from "resplice/testing";
    class Mine extends ConnectionManager {}
    export const manager: ConnectionManager = new Mine({ maxDialsPerSecond: KiB });
    export const link: Link = manager.open({ port: 1, protocol: plain({ framing: lines() }) });
    export const supervisor: ServerSupervisor = new ServerSupervisor({ port: 1 });
    export const pair = (): LinkPair | Promise<LinkPair> => linkPair();
    export const codeOf = (error: unknown) => (error instanceof RespliceError ? error.code : undefined);
    export type Code = RespliceError["code"];
    // @ts-expect-error
    new ConnectionManager({ maxDialsPerSecond: "ten" });
    // @ts-expect-error
    codeOf("").length.nonsense;
  `;

  test.for([
    ["node16", ["required.cts", "imported.mts"]],
    ["commonjs", ["program.ts"]],
  ] as const)("module: %s", SLOW, async ([module, names]) => {
    for (const name of names) writeFileSync(join(user, name), PROGRAM);
    const types = ["--typeRoots", join(ROOT, "node_modules/@types"), "--types", "node"];
    const options = ["--noEmit", "--strict", "--target", "es2022", "--module", module, ...types];
    expect(await run(join(ROOT, "node_modules/.bin/tsc"), [...options, ...names], user)).toBe("");
  });

  test("take nothing as a default export that is none without esModuleInterop", () => {
    const declarations = declarationFiles(join(user, DIST));
    expect(declarations.length).toBeGreaterThan(50);
    const taken = declarations.filter((path) => /^import (?:type )?[\w$]+(?:,| from)/mu.test(read(`dist/${path}`)));
    expect(taken).toEqual([]);
  });
});

test("docs/api was written from these declarations (else: npm run api)", () => {
  expect(readFileSync(join(ROOT, "docs/api/README.md"), "utf8")).toContain(stampOf(join(user, DIST)));
});

describe("on Node 20", () => {
  const PRETEND = `data:text/javascript,Object.defineProperty(process, "versions", { value: { node: "20.20.2" } })`;
  const SAYS = /RespliceError: resplice needs Node 22\.12 or newer, and this is Node 20\.20\.2 \(\/.*\)/gu;

  const NAMES = ["resplice", "resplice/testing"];

  test.for([
    ["import", "(name) => import(name)", []],
    ["require()", "async (name) => require(name)", [NO_REQUIRED_ESM]],
  ] as const)("%s says what it needs", SLOW, async ([, load, options]) => {
    const code = `(async () => {
      for (const name of ${JSON.stringify(NAMES)}) await (${load})(name).catch((error) => console.log(String(error)));
    })()`;
    const said = await run(process.execPath, [...options, "--import", PRETEND, "--eval", code], user);
    expect(said.match(SAYS)).toHaveLength(NAMES.length);
  });
});

test("pino is loaded for --verbose alone, and missed for nothing else", SLOW, async () => {
  const resplice = join(user, "node_modules/.bin/resplice");
  rmSync(join(user, "node_modules/pino"), { recursive: true });
  expect(await run(resplice, ["--version"], user)).toBe(`${version}\n`);
  expect(await run(process.execPath, ["echo.mjs"], user)).toBe("pull the cable now\n");
  await expect(run(resplice, ["connect", "--verbose", "127.0.0.1:1"], user)).rejects.toThrow(/needs the package pino/u);
});

function evaluate(code: string): Promise<string> {
  return run(process.execPath, ["--input-type=module", "--eval", code], user);
}

/** A file of the package. */
function read(path: string): string {
  return readFileSync(join(user, "node_modules/resplice", path), "utf8");
}
