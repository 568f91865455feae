/** Attempts of a link that fail by what the application gave. */
import { inspect } from "node:util";
import { expect } from "vitest";
import type { RespliceError } from "../../src/index.ts";
import { type Link, type StateChange } from "../../src/index.ts";
import { eventually } from "../support.ts";

export const SECRET = "sk-s3cr3t";

/** The errors of a link's attempts. */
export function failures(link: Link): RespliceError[] {
  const seen: RespliceError[] = [];
  link.on("state", (change: StateChange) => {
    if (change.to === "reconnecting" && change.error !== undefined) seen.push(change.error);
  });
  return seen;
}

/** Retried: each attempt has failed so, and the link goes on as soon as the answer is right. */
export async function expectRetried(link: Link, code: string, saying: RegExp): Promise<void> {
  const seen = failures(link);
  await eventually(() => expect(seen.length).toBeGreaterThan(2));
  for (const error of seen) {
    expect(error).toMatchObject({ code, retryable: true, message: expect.stringMatching(saying) });
    expect(inspect(error, { depth: 10 })).not.toContain("s3cr3t");
  }
}
