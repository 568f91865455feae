import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { descriptors } from "../../src/server/descriptors.ts";

test.each(["EMFILE", "ENFILE", "ENOENT", "EACCES"])("where reading ends with %s nothing is known", (code) => {
  const read = (): never => {
    throw Object.assign(new Error(code), { code });
  };
  expect(descriptors(read)).toBeUndefined();
});

test.runIf(process.platform === "linux")("what there is here", () => {
  const { limit, open } = descriptors() ?? { limit: 0, open: 0 };
  expect(open).toBeGreaterThan(3);
  expect(limit).toBeGreaterThan(open);
});

const program = `
  const lines = [];
  const at = (level) => (fields) => lines.push({ level, ...fields });
  const logger = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  const supervisor = new resplice.ServerSupervisor({ port: 0, host: "127.0.0.1", logger, limits: { connections: Number(process.env.CONNECTIONS) } });
  supervisor.serve(() => {});
`;
const rest = `
  await supervisor.close();
  const [warning] = lines.filter(({ event }) => event === "server.descriptors");
  const [listening] = lines.filter(({ event }) => event === "server.listening");
  console.log(JSON.stringify({ warning, limit: listening.descriptorLimit }));
`;

async function limited(files: number, connections: number, code: string): Promise<unknown> {
  const index = JSON.stringify(new URL("../../src/index.ts", import.meta.url).href);
  const module = `import * as resplice from ${index};\n${code}`;
  const command = `ulimit -n ${files} && exec "$0" "$@"`;
  const node = [process.execPath, "--no-warnings", "--input-type=module", "--eval", module];
  const env = { ...process.env, CONNECTIONS: String(connections) };
  const { stdout } = await promisify(execFile)("sh", ["-c", command, ...node], { timeout: 20_000, env });
  return JSON.parse(stdout);
}

test.runIf(process.platform === "linux")("more connections than descriptors: a line says how many", async () => {
  const { warning, limit } = (await limited(256, 300, `${program} await supervisor.listen(); ${rest}`)) as {
    warning: { open: number };
    limit: number;
  };
  expect(limit).toBe(256);
  expect(warning).toEqual({
    level: "warn",
    event: "server.descriptors",
    connections: 300,
    open: expect.any(Number) as number,
    needed: 300 + warning.open + 32,
    descriptorLimit: 256,
  });
  const enough = await limited(256, 100, `${program} await supervisor.listen(); ${rest}`);
  expect(enough).toEqual({ limit: 256 });
});

test.runIf(process.platform === "linux")(
  "where none is left to read /proc with, it listens and says nothing",
  async () => {
    const exhausted = `
    import { closeSync, openSync } from "node:fs";
    import { once } from "node:events";
    import net from "node:net";
    ${program}
    // What is needed once is opened while there is something to open.
    const probe = net.createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const files = [];
    try { for (;;) files.push(openSync("/dev/null")); } catch {}
    closeSync(files.pop());
    await supervisor.listen();
    for (const file of files) closeSync(file);
    probe.close();
    ${rest}
  `;
    expect(await limited(128, 1_000, exhausted)).toEqual({});
  },
);
