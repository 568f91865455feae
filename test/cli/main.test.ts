// The command as a whole: help, versions and what it answers to a command line that makes no sense.
import { closeSync, openSync, readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { parseCommandLine } from "../../src/cli/arguments.ts";
import { unusedPort } from "../support.ts";
import { resplice } from "./support.ts";

const SLOW = { timeout: 30_000 };

test("--help goes to stdout and names all commands, options and exit codes", SLOW, async () => {
  const run = resplice(["--help"]);
  expect(await run.exit).toBe(0);
  const help = run.stdout().toString();
  const commands = ["demo", "listen", "connect"];
  const options = commands.flatMap((name) => {
    const refused = /takes (.*)/.exec(thrownBy(() => parseCommandLine([name, "--nonsense"])));
    return refused?.[1]?.split(", ") ?? [];
  });
  expect(options.length).toBeGreaterThan(15);
  for (const word of [...commands, ...options, "129", "130", "141", "69"]) expect(help).toContain(word);
  expect(run.stderr()).toBe("");
});

test("--version is the package's", SLOW, async () => {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const run = resplice(["--version"]);
  expect(await run.exit).toBe(0);
  expect(run.stdout().toString()).toBe(`${(JSON.parse(text) as { version: string }).version}\n`);
});

test("a wrong option ends with 2, and the options that there are", SLOW, async () => {
  const run = resplice(["connect", "--prgress", "localhost:7000"]);
  expect(await run.exit).toBe(2);
  expect(run.stdout()).toHaveLength(0);
  expect(run.stderr()).toMatch(/--prgress.*connect takes --progress, --verbose, .*--help/);
});

test.for(["18.20.4", "20.20.2", "22.11.0"])("on Node %s it says what it needs, and ends with 69", SLOW, async (old) => {
  const pretend = `data:text/javascript,Object.defineProperty(process, "versions", { value: { node: "${old}" } })`;
  const run = resplice(["--version"], { execArgv: ["--import", pretend] });
  expect(await run.exit).toBe(69);
  expect(run.stderr()).toContain(`needs Node 22.12 or newer, and this is Node ${old}`);
  expect(run.stdout()).toHaveLength(0);
});

test.for(["22.12.0", "24.0.0", "100.0.0"])("Node %s is new enough", SLOW, async (fresh) => {
  const pretend = `data:text/javascript,Object.defineProperty(process, "versions", { value: { node: "${fresh}" } })`;
  const run = resplice(["--version"], { execArgv: ["--import", pretend] });
  expect(await run.exit).toBe(0);
});

test.runIf(process.platform === "linux")(
  "--verbose with nowhere to write the log to (a full disk) ends nothing",
  SLOW,
  async () => {
    const full = openSync("/dev/full", "w");
    onTestFinished(() => closeSync(full));
    const port = await unusedPort();
    const listen = resplice(["listen", "--verbose", `127.0.0.1:${port}`], { stdio: ["ignore", "pipe", full] });
    const connect = resplice(["connect", "--verbose", `127.0.0.1:${port}`], { stdio: ["pipe", "pipe", full] });
    connect.child.stdin?.end("all of it");
    expect(await Promise.all([listen.exit, connect.exit])).toEqual([0, 0]);
    expect(listen.stdout().toString()).toBe("all of it");
  },
);

function thrownBy(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}
