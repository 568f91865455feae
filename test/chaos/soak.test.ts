import { expect, test } from "vitest";

import { command } from "../endurance/support.ts";

const soak = command("../soak/main.ts");
/** A minute, the warm-up, and whatever a busy machine makes of it. */
const WITHIN_MS = 220_000;

test(
  "a minute of faults on all paths: nothing is lost, doubled or reordered, and nothing is left behind",
  async () => {
    const args = ["--minutes", "1", "--seed", "1"];
    const { code, stdout, stderr } = await soak(args, WITHIN_MS);
    console.log(stdout.trim());
    expect(stderr).not.toContain("soak:");
    expect(stdout.trim().split("\n").at(-1)).toMatch(/^\d+ links, \d{5,} messages, .*: 0 problems \(--seed 1\)$/u);
    expect(code).toBe(0);
  },
  WITHIN_MS + 10_000,
);
