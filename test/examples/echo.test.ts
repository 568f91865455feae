import { faultRelay } from "resplice/testing";
import { expect, onTestFinished, test } from "vitest";
import { example } from "./support/program.ts";

test("every line comes back once, in order, over a path that is cut", { timeout: 30_000 }, async () => {
  const server = example("echo", "serve", 0);
  const relay = await faultRelay({ port: await server.port() });
  onTestFinished(() => relay.close());
  const client = example("echo", relay.port);
  await client.line(/^connected/u);

  client.write("before");
  await client.line(/^before$/u);
  relay.cut("rst");
  client.write("during");
  await client.line(/^during$/u);
  relay.cutAfterBytes(30);
  client.write("within", "after");
  await client.line(/^after$/u);
  client.process.stdin.end();

  expect(await client.exited).toBe(0);
  expect(client.lines.filter((line) => !line.includes(": "))).toEqual(["before", "during", "within", "after"]);
  expect(client.lines).toContain("connected: resumed");
  expect(await server.kill("SIGTERM")).toBe(0);
});
