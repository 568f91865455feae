/** `npm run test:runtimes`: the package as it is installed, on each runtime that it is made for. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runSuite } from "../endurance/suite.ts";
import { type RuntimeScenario, RuntimeStage } from "./stage.ts";

const ABOUT = "echo, cut, TLS, duplex, hand-over";
/** Node before 22.18 reads TypeScript only when it is told to. */
const RUNTIMES: Array<[name: string, path: string, args: string[]]> = [
  ["node 22.12", "node-22.12/bin/node", ["--experimental-strip-types", "--no-warnings"]],
  ["node 24", "node-24/bin/node", []],
  ["node 26", "node-26/bin/node", []],
  ["bun", ".bin/bun", []],
  ["deno", ".bin/deno", ["run", "--allow-all", "--no-check", "--node-modules-dir=manual"]],
];

const NODES = ["node-22.12", "node-24", "node-26"];
const JEST = `
  const { ConnectionManager, ServerSupervisor, RespliceError } = require("resplice");
  const { linkPair } = require("resplice/testing");
  test("an echo", async () => {
    const supervisor = new ServerSupervisor({ port: 0, host: "127.0.0.1" });
    supervisor.serve(async (link) => {
      for await (const message of link) await link.send(message);
    });
    const { port } = await supervisor.listen();
    const manager = new ConnectionManager();
    const link = manager.open({ port });
    await link.send("hello");
    expect(String(await link.receive())).toBe("hello");
    await manager.close();
    await supervisor.close();
  });
  test("one class of errors", () => {
    expect(() => linkPair({ nonsense: 1 })).toThrow(RespliceError);
  });`;

const TYPES = `
  import { ConnectionManager, type Link, RespliceError } from "resplice";
  import { linkPair, type LinkPair } from "resplice/testing";
  class Mine extends ConnectionManager {}
  export const link: Link = new Mine().open({ port: 1 });
  export const pair = (): LinkPair | Promise<LinkPair> => linkPair();
  export const codeOf = (error: unknown) => (error instanceof RespliceError ? error.code : undefined);
  // @ts-expect-error
  new ConnectionManager({ maxDialsPerSecond: "ten" });`;

const scenarios: RuntimeScenario[] = [
  ...RUNTIMES.map(([name, path, args]) => ({
    name,
    about: ABOUT,
    run: (stage: RuntimeStage) => stage.play(stage.program(path), args),
  })),
  {
    name: "node 20",
    about: "import and require() say what they need",
    async run(stage) {
      const node = stage.program("node-20/bin/node");
      for (const load of ['import("resplice")', '(0, require)("resplice")']) {
        const { out, code } = await stage.run(node, ["--input-type=commonjs", "--eval", load]);
        const says = out.includes("resplice needs Node 22.12 or newer, and this is Node 20.");
        stage.row({
          what: `${load} says what it needs`,
          figure: Number(says),
          bound: 1,
          is: "at least",
          unit: "",
          note: says ? "" : out,
        });
        stage.ended(load, code, out, 1);
      }
    },
  },
  {
    name: "jest",
    about: "its require(), on each Node",
    async run(stage) {
      const folder = join(await stage.user(), "jest");
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "commonjs", jest: {} }));
      writeFileSync(join(folder, "echo.test.js"), JEST);
      for (const node of NODES) {
        const jest = stage.program("jest/bin/jest.js");
        const { out, code } = await stage.run(stage.program(`${node}/bin/node`), [jest, "--rootDir", folder]);
        stage.ended(`on ${node} it`, code, out);
      }
    },
  },
  {
    name: "typescript 5",
    about: "each kind of modules, with the declarations checked too",
    async run(stage) {
      const folder = join(await stage.user(), "types");
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "commonjs" }));
      for (const [module, file] of [
        ["commonjs", "program.ts"],
        ["node16", "program.cts"],
        ["node16", "program.mts"],
        ["nodenext", "program.cts"],
      ] as const) {
        writeFileSync(join(folder, file), TYPES);
        const tsc = stage.program("typescript-5/bin/tsc");
        const roots = ["--typeRoots", join(import.meta.dirname, "../../node_modules/@types"), "--types", "node"];
        const options = ["--noEmit", "--strict", "--target", "es2022", "--module", module, ...roots];
        const { out, code } = await stage.run(process.execPath, [tsc, ...options, join(folder, file)]);
        stage.ended(`module: ${module}, ${file}`, code, out);
      }
    },
  },
];

await runSuite({
  name: "runtimes",
  noun: "runtime",
  scenarios,
  numbers: { percent: { least: 1, most: 100, byDefault: 100, help: "how much of each scenario is played" } },
  flags: {},
  stage: (scenario, { percent }) => new RuntimeStage(scenario, percent),
});
