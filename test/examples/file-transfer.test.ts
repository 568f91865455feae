import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { faultRelay } from "resplice/testing";
import { expect, onTestFinished, test } from "vitest";
import { example } from "./support/program.ts";

test("a file arrives whole over a path that is cut again and again", { timeout: 30_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "resplice-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const original = randomBytes(5_000_000);
  await writeFile(join(folder, "original"), original);
  const receiver = example("file-transfer", "receive", 0, join(folder, "copy"));
  const relay = await faultRelay({ port: await receiver.port() });
  onTestFinished(() => relay.close());
  for (const bytes of [50_000, 1_000_000, 3_000_000, 5_100_000]) relay.cutAfterBytes(bytes);

  const sender = example("file-transfer", "send", relay.port, join(folder, "original"));
  expect(await sender.exited).toBe(0);
  await sender.line(/^sent [0-9a-f]{64}$/u);
  await receiver.line(/^received$/u);
  expect(relay.connections).toBeGreaterThan(3);
  expect(original.equals(await readFile(join(folder, "copy")))).toBe(true);
  expect(await receiver.kill("SIGTERM")).toBe(0);
});

test("a file that cannot be written ends the transfer at both ends", { timeout: 30_000 }, async () => {
  const receiver = example("file-transfer", "receive", 0, "/nonexistent/copy");
  const sender = example("file-transfer", "send", await receiver.port(), process.execPath);
  expect(await sender.exited).toBe(1);
  await sender.line(/PEER_ABORTED/u);
  expect(await receiver.kill("SIGTERM")).toBe(0);
});
