// The package as it is installed, on a Node that is too old: test/package.
import { expect, onTestFinished, test, vi } from "vitest";

test("on a Node that is too old the import fails", async () => {
  const { versions } = process;
  onTestFinished(() => {
    Object.defineProperty(process, "versions", { value: versions });
    vi.resetModules();
  });
  Object.defineProperty(process, "versions", { value: { ...versions, node: "20.20.2" } });
  vi.resetModules();
  await expect(import("../src/supported-node.ts")).rejects.toMatchObject({
    name: "RespliceError",
    code: "NOT_SUPPORTED",
    message: expect.stringMatching(/^resplice needs Node 22\.12 or newer, and this is Node 20\.20\.2/u) as string,
  });
});

test("on this Node it does not", async () => {
  await expect(import("../src/supported-node.ts")).resolves.toBeDefined();
});
