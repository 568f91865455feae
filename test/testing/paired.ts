/** Pairs in memory, for the tests of them. */
import { onTestFinished } from "vitest";
import type { Link, StateChange } from "../../src/index.ts";
import { linkPair, type LinkPair, type LinkPairOptions } from "../../src/testing/index.ts";

/** Disposed of when the test is over. */
export function paired(options?: LinkPairOptions): LinkPair {
  const pair = linkPair(options);
  onTestFinished(() => pair[Symbol.asyncDispose]());
  return pair;
}

/** The states that a link passes through, with when and why. */
export function states(link: Link, { clock }: LinkPair): Array<{ atMs: number; to: string; reason: string }> {
  const seen: Array<{ atMs: number; to: string; reason: string }> = [];
  link.on("state", ({ to, reason }: StateChange) => void seen.push({ atMs: clock.nowMs, to, reason }));
  return seen;
}
