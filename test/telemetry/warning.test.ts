import { once } from "node:events";
import { expect, onTestFinished, test, vi } from "vitest";

test("a handler's error that nobody listens to, of a client in memory: a process warning, and no second", async () => {
  // This process may have been warned by another test.
  vi.resetModules();
  const { linkPair } = await import("../../src/testing/index.ts");
  const { warnOnce } = await import("../../src/telemetry/warning.ts");
  const warned = once(process, "warning");
  await using pair = linkPair({ serve: (link) => void link.trySend("x") });
  pair.client.onMessage(() => {
    throw new Error("mine, \x1b[2J and what a peer\nhas sent");
  });
  expect((await pair.client.closed).error).toMatchObject({ code: "HANDLER_FAILED" });
  const [warning] = (await warned) as Array<Error & { code: string; detail: string }>;
  expect(warning).toMatchObject({ name: "RespliceWarning", code: "RESPLICE_HANDLER_FAILED" });
  expect(warning?.message).toContain("(mine, \\x1b[2J and what a peer\\nhas sent)");
  expect(warning?.detail).toMatch(/^Error: mine, \\x1b\[2J and what a peer\nhas sent\n +at /);
  const others: unknown[] = [];
  const keep = (other: unknown): void => void others.push(other);
  process.on("warning", keep);
  onTestFinished(() => void process.off("warning", keep));
  warnOnce("RESPLICE_HANDLER_FAILED", new Error("another"));
  const last = once(process, "warning");
  warnOnce("RESPLICE_HOOK_FAILED", undefined);
  await last;
  expect(others).toMatchObject([{ code: "RESPLICE_HOOK_FAILED" }]);
});
