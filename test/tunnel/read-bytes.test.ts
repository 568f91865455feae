import { expect, test, vi } from "vitest";
import type { Clock } from "../../src/link/ports.ts";
import { eventually } from "../support.ts";

const MiB = 1_048_576;

test("what was read is collected when 16 MiB of it were, and not before", async () => {
  // It counts for the process: other tests have read something, too.
  vi.resetModules();
  const { countRead } = await import("../../src/tunnel/read-bytes.ts");
  const due: Array<() => void> = [];
  // V8 collects at any time, too: what is asked of it is seen here alone.
  const clock = {
    afterPoll<T>(run: (of: T) => void, of: T): void {
      due.push(() => run(of));
    },
  } as Clock;
  waste(15 * MiB);
  countRead(15 * MiB, clock);
  expect(due).toHaveLength(0);
  countRead(MiB, clock);
  expect(due).toHaveLength(1);
  await eventually(() => {
    waste(15 * MiB);
    const before = process.memoryUsage().arrayBuffers;
    due[0]?.();
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(before - 10 * MiB);
  });
  countRead(15 * MiB, clock);
  expect(due).toHaveLength(1);
});

/** Memory of reads that nobody has any more. */
function waste(bytes: number): void {
  for (let at = 0; at < bytes; at += 65_536) Buffer.allocUnsafeSlow(65_536);
}
