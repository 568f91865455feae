import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { notify } from "../../../src/cli/tunnel/notify.ts";

/** A systemd-notify in place of the machine's: what it is told is in the file that it answers. */
function systemdNotify(script: string): string {
  const folder = mkdtempSync(join(tmpdir(), "resplice-notify-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const told = join(folder, "told");
  const command = join(folder, "systemd-notify");
  writeFileSync(command, `#!/bin/sh\n${script.replace("TOLD", told)}\n`);
  chmodSync(command, 0o755);
  vi.stubEnv("PATH", folder);
  return told;
}

async function said(what: "ready" | "stopping"): Promise<string[]> {
  const lines: string[] = [];
  await notify(what, (line) => lines.push(line));
  return lines;
}

test("systemd is told by its own command", async () => {
  const told = systemdNotify('echo "$1 $NOTIFY_SOCKET $RESPLICE_TOKENS" >> TOLD');
  vi.stubEnv("RESPLICE_TOKENS", "alice 0123456789abcdef");
  vi.stubEnv("NOTIFY_SOCKET", "/run/notify");
  expect([...(await said("ready")), ...(await said("stopping"))]).toEqual([]);
  expect(readFileSync(told, "utf8")).toBe("READY=1 /run/notify \nSTOPPING=1 /run/notify \n");
});

test.for([undefined, ""])("nobody is told where systemd does not ask: %j", async (socket) => {
  const told = systemdNotify("echo told >> TOLD");
  vi.stubEnv("NOTIFY_SOCKET", socket);
  expect(await said("ready")).toEqual([]);
  expect(() => readFileSync(told)).toThrow("ENOENT");
});

test("a command that fails, or that there is not, is said", async () => {
  systemdNotify('echo "no such service" >&2; exit 1');
  vi.stubEnv("NOTIFY_SOCKET", "/run/notify");
  expect(await said("ready")).toEqual(['systemd was not told "ready": no such service']);
  vi.stubEnv("PATH", "/nowhere");
  expect(await said("stopping")).toEqual(['systemd was not told "stopping": there is no command systemd-notify']);
});
