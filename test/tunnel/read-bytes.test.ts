import { expect, test } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import { countRead } from "../../src/tunnel/read-bytes.ts";
import { eventually } from "../support.ts";

const MiB = 1_048_576;

test("what was read is collected when 16 MiB of it were, and not before", async () => {
  const clock = new SystemClock();
  waste(15 * MiB);
  const held = process.memoryUsage().arrayBuffers;
  countRead(15 * MiB, clock);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(process.memoryUsage().arrayBuffers).toBeGreaterThanOrEqual(held);
  countRead(MiB, clock);
  await eventually(() => expect(process.memoryUsage().arrayBuffers).toBeLessThan(held - 10 * MiB));
});

/** Memory of reads that nobody has any more. */
function waste(bytes: number): void {
  for (let at = 0; at < bytes; at += 65_536) Buffer.allocUnsafeSlow(65_536);
}
