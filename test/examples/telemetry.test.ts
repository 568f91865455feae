import { faultRelay } from "resplice/testing";
import { expect, onTestFinished, test } from "vitest";
import { example } from "./support/program.ts";

test("every sample that was taken is collected once, also when the path is cut", { timeout: 30_000 }, async () => {
  const collector = example("telemetry", "collect", 0);
  const relay = await faultRelay({ port: await collector.port() });
  onTestFinished(() => relay.close());
  relay.cutAfterBytes(300_000);
  relay.cutAfterBytes(3_000_000);
  const sensor = example("telemetry", "sense", relay.port);
  await sensor.count(/^connected: resumed$/u, 2);
  expect(await sensor.kill("SIGINT")).toBe(0);
  const [, sent] = await sensor.line(/^sent (\d+), skipped \d+$/u);
  const [, collected] = await collector.line(/^collected (\d+), sum [\d.]+, bye$/u);
  expect(collected).toBe(sent);
  expect(await collector.kill("SIGTERM")).toBe(0);
});
