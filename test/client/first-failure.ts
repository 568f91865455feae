import type { RespliceError } from "../../src/index.ts";
import { type Link } from "../../src/index.ts";
import { turned } from "../support.ts";

/** Why the first attempt failed. */
export async function firstFailure(link: Link): Promise<RespliceError | undefined> {
  return (await turned(link, "reconnecting")).error;
}
