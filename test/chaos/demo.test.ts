// The demo through a real Toxiproxy, each kind of fault once: nothing is lost, doubled or reordered.
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { resplice } from "../cli/support.ts";

test("resplice demo --toxiproxy", async () => {
  vi.stubEnv("TOXIPROXY_URL", inject("toxiproxyUrl"));
  onTestFinished(() => void vi.unstubAllEnvs());
  const run = resplice(["demo", "--toxiproxy", "--seconds", "8", "--json", "--seed", "5"]);
  expect(await run.exit).toBe(0);
  const result = JSON.parse(run.stdout().toString().trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
  expect(result).toMatchObject({ lost: 0, doubled: 0, reordered: 0 });
  expect(Object.keys(result["faults"] as object).length).toBeGreaterThanOrEqual(3);
});
