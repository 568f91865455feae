import { expect, test } from "vitest";
import { example } from "./support/program.ts";

const ours = (lines: readonly string[]): string[] => lines.filter((line) => line.startsWith("line "));

test("no line is lost when the collector is killed and started again", { timeout: 30_000 }, async () => {
  const first = example("log-shipper", "collect", 0);
  const port = await first.port();
  const shipper = example("log-shipper", "ship", port);
  const lines = Array.from({ length: 1_000 }, (_, n) => `line ${n}`);
  shipper.write(...lines.slice(0, 500));
  await first.line(/^line 100$/u);
  await first.kill("SIGKILL");

  shipper.write(...lines.slice(500));
  shipper.process.stdin.end();
  const second = example("log-shipper", "collect", port);
  await second.line(/^line 999$/u);
  expect(await shipper.exited).toBe(0);
  expect(await second.kill("SIGTERM")).toBe(0);

  // Twice is possible, never is not; and each collector saw its part in order.
  expect(new Set([...ours(first.lines), ...ours(second.lines)])).toEqual(new Set(lines));
  expect(ours(first.lines)).toEqual(lines.slice(0, ours(first.lines).length));
  expect(ours(second.lines)).toEqual(lines.slice(-ours(second.lines).length));
});
