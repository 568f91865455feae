// 256 MiB through `resplice listen` and `resplice connect` while the path is cut again and again: the same bytes, exit 0.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { expect, onTestFinished, test } from "vitest";

import { openProxy } from "./support/proxy.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const MEBIBYTES = 256;

function start(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function exitCode(child: ChildProcess): Promise<unknown> {
  const [code] = (await once(child, "close")) as [number | null];
  return code;
}

test("256 MiB through the netcat under cuts: the same SHA-256, and exit code 0 on both sides", async () => {
  const listener = start("listen", "0");
  const listened = exitCode(listener);
  listener.stdin?.end();
  const port = await new Promise<number>((resolve) => {
    createInterface({ input: listener.stderr as NodeJS.ReadableStream }).on("line", (line) => {
      const found = /listening on .*?(\d+)\b[^\d]*$/.exec(line);
      if (found !== null) resolve(Number(found[1]));
    });
  });
  // Backpressure must reach the sender: no latency toxic, which would take in megabytes.
  await using proxy = await openProxy({ upstreamPort: port, latencyMs: 0 });
  const connector = start("connect", `127.0.0.1:${proxy.port}`);
  const connected = exitCode(connector);
  connector.stdout?.resume();
  connector.stderr?.resume();

  const sent = createHash("sha256");
  const received = createHash("sha256");
  let bytes = 0;
  const receiving = (async () => {
    for await (const chunk of listener.stdout as AsyncIterable<Buffer>) {
      received.update(chunk);
      bytes += chunk.length;
    }
  })();
  const sending = pipeline(async function* () {
    for (let n = 0; n < MEBIBYTES; n++) {
      const block = randomBytes(1_048_576);
      sent.update(block);
      yield block;
    }
  }, connector.stdin as NodeJS.WritableStream);

  const over = new AbortController();
  let cuts = 0;
  const cutting = (async () => {
    while (!over.signal.aborted) {
      await pause(300 + 300 * Math.random());
      if (over.signal.aborted) return;
      await proxy.cut();
      cuts++;
    }
  })();
  await Promise.all([sending, receiving]);
  over.abort();
  expect(await Promise.all([listened, connected])).toEqual([0, 0]);
  await cutting;
  expect(bytes).toBe(MEBIBYTES * 1_048_576);
  expect(received.digest("hex")).toBe(sent.digest("hex"));
  expect(cuts).toBeGreaterThan(2);
});
