// How Toxiproxy is found, made, run and ended, with stand-ins for the server, for go and for GitHub. The real server is
// for the chaos tests.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { type RunningToxiproxy, startToxiproxy } from "../../../src/cli/toxiproxy/toxiproxy.ts";
import { claimPort } from "../../../src/testing/port-claim.ts";

let folder: string;
let env: NodeJS.ProcessEnv;
let cached: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "resplice-toxiproxy-"));
  env = { PATH: join(folder, "bin"), XDG_CACHE_HOME: join(folder, "cache") };
  cached = join(folder, "cache/resplice/toxiproxy-2.12.0/toxiproxy-server");
  // Always: without it a real go in /usr/local/go would be found.
  await script(join(folder, "bin/go"), 'console.error("no go today"); process.exit(1);');
});

afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

describe("TOXIPROXY_URL", () => {
  test("is used as it is, and not ended", async () => {
    await withHttp('{"version": "2.12.0"}\n', async (url) => {
      const toxiproxy = await startToxiproxy({ env: { TOXIPROXY_URL: `${url}/` } });
      expect(toxiproxy).toMatchObject({ url, version: "2.12.0", how: `TOXIPROXY_URL (${url})` });
      await toxiproxy.stop();
      expect((await fetch(`${url}/version`)).ok).toBe(true);
    });
  });

  test.for(['{"version": "git"}', '{"version": "2.9.0"}', "{}", "<html>"])("with %s is an error", async (body) => {
    await withHttp(body, async (url) => {
      await expect(startToxiproxy({ env: { ...env, TOXIPROXY_URL: url } })).rejects.toThrow(/^TOXIPROXY_URL is /);
    });
  });

  test("where nobody listens is an error, though there is a server on the PATH", async () => {
    await script(join(folder, "bin/toxiproxy-server"), server("2.12.0"));
    using nobody = await claimPort();
    const url = `http://127.0.0.1:${nobody.port}`;
    await expect(startToxiproxy({ env: { ...env, TOXIPROXY_URL: url } })).rejects.toThrow("no Toxiproxy answers there");
  });
});

describe("a binary", () => {
  test("is taken from the PATH", async () => {
    const file = await script(join(folder, "bin/toxiproxy-server"), server("2.12.0"));
    await script(cached, server("2.12.0"));
    expect(await howStarted()).toBe(`PATH (${file})`);
  });

  test("of another version on the PATH is passed over, and this is said", async () => {
    const file = await script(join(folder, "bin/toxiproxy-server"), server("2.9.0"));
    await script(cached, server("2.12.0"));
    expect(await howStarted()).toBe(`cache (${cached}); passed over: ${file} on the PATH is version 2.9.0`);
  });

  test("is built by go with its version linked in, and kept", async () => {
    const built = JSON.stringify(`#!${process.execPath}\n${server("2.12.0")}`);
    await script(
      join(folder, "bin/go"),
      `const { writeFileSync } = require("fs");
       writeFileSync(process.env.GOBIN + "/server", ${built}, { mode: 0o755 });
       writeFileSync(${JSON.stringify(join(folder, "go.json"))}, JSON.stringify(process.argv.slice(2)));`,
    );
    const said: string[] = [];
    expect(await howStarted((line) => said.push(line))).toBe(`go install, kept as ${cached}`);
    expect(said).toHaveLength(1);
    expect(JSON.parse(await readFile(join(folder, "go.json"), "utf8"))).toEqual([
      "install",
      "-trimpath",
      "-ldflags",
      "-s -w -X github.com/Shopify/toxiproxy/v2.Version=2.12.0",
      "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0",
    ]);
    expect(await howStarted()).toBe(`cache (${cached})`);
  });

  test("that was downloaded and has another SHA-256 is refused: never run, never kept", async () => {
    const download = vi.spyOn(globalThis, "fetch").mockResolvedValue(new Response("#!/bin/sh\ntouch ran\n"));
    await script(cached, "process.exit(1)"); // a broken one
    const error = await startToxiproxy({ env }).then(
      () => "",
      (reason: Error) => reason.message,
    );
    expect(download).toHaveBeenCalledOnce();
    expect(error).toMatch("TOXIPROXY_URL: not set");
    expect(error).toMatch("PATH: no toxiproxy-server on it");
    expect(error).toMatch(`cache: ${cached} does not run`);
    expect(error).toMatch("no go today");
    expect(error).toMatch("was refused: its SHA-256 is");
    expect(error).toMatch("docker compose run --rm chaos");
    expect(await readdir(dirname(cached))).toEqual(["toxiproxy-server"]); // the broken one; no scratch folder
  });

  test("whose server can't listen is an error at once, with its log", async () => {
    const log = "Server finished with error: address already in use";
    const file = join(folder, "bin/toxiproxy-server");
    await script(file, server("2.12.0", `console.log(${JSON.stringify(log)}); setInterval(() => {}, 1000);`));
    await expect(startToxiproxy({ env })).rejects.toThrow(`${file} could not start: ${log}`);
  });

  test("whose server ends is an error at once", async () => {
    const file = join(folder, "bin/toxiproxy-server");
    await script(file, server("2.12.0", 'console.error("oh"); process.exit(3);'));
    await expect(startToxiproxy({ env })).rejects.toThrow(/ended \(3\)/);
  });
});

test("stop() ends the server, and may be called again", async () => {
  await script(join(folder, "bin/toxiproxy-server"), server("2.12.0"));
  const toxiproxy = await startToxiproxy({ env });
  const { gone } = await watch(toxiproxy.url);
  await toxiproxy.stop();
  await gone;
  await toxiproxy.stop();
});

test("the server dies with us, even if we are killed", async () => {
  await script(join(folder, "bin/toxiproxy-server"), server("2.12.0"));
  const source = fileURLToPath(new URL("../../../src/cli/toxiproxy/toxiproxy.ts", import.meta.url));
  const program = `const { startToxiproxy } = await import(${JSON.stringify(source)});
    console.log((await startToxiproxy({ env: ${JSON.stringify(env)} })).url);`;
  const we = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const [chunk] = (await once(we.stdout, "data")) as [Buffer];
  const { gone } = await watch(chunk.toString().trim());
  we.kill("SIGKILL");
  await gone;
});

// Stand-ins ------------------------------------------------------------------------------------------------------------

async function howStarted(onProgress: (line: string) => void = () => {}): Promise<string> {
  const toxiproxy: RunningToxiproxy = await startToxiproxy({ env, onProgress });
  await toxiproxy.stop();
  return toxiproxy.how;
}

async function script(file: string, body: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `#!${process.execPath}\n${body}`, { mode: 0o755 });
  return file;
}

/** A toxiproxy-server that knows its version and `GET /version`, or does `main` instead of serving. */
function server(version: string, main?: string): string {
  const serve = `require("http")
    .createServer((_, response) => response.end('{"version": "${version}"}'))
    .listen(process.argv[process.argv.indexOf("-port") + 1], "127.0.0.1");`;
  return `if (process.argv[2] === "-version") {
    console.log("toxiproxy-server version ${version}");
  } else {
    ${main ?? serve}
  }`;
}

async function withHttp(body: string, use: (url: string) => Promise<void>): Promise<void> {
  const http = createServer((_request, response) => response.end(body));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  try {
    await use(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  } finally {
    http.closeAllConnections();
    http.close();
  }
}

/** Dials the process that listens there; `gone` settles when the idle connection to it ends. */
async function watch(url: string): Promise<{ gone: Promise<void> }> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  await once(socket, "connect");
  socket.resume().on("error", () => {}); // a killed process may leave by a RST
  return { gone: new Promise((resolve) => void socket.on("close", () => resolve())) };
}
