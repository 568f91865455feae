// Before all chaos tests: one Toxiproxy for them all. If there is none and none can be made, the run fails here.

import type { TestProject } from "vitest/node";

import { startToxiproxy } from "../../../src/cli/toxiproxy/toxiproxy.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** The HTTP interface of Toxiproxy, without a slash at the end. */
    toxiproxyUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const say = (line: string): void => console.log(`chaos: ${line}`);
  const toxiproxy = await startToxiproxy({ onProgress: say });
  say(`Toxiproxy ${toxiproxy.version} at ${toxiproxy.url}, from ${toxiproxy.how}`);
  project.provide("toxiproxyUrl", toxiproxy.url);
  return toxiproxy.stop;
}
