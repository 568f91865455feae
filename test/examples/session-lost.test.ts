import { expect, test } from "vitest";
import { example } from "./support/program.ts";

test("three ways to live with a server that has forgotten its sessions", { timeout: 30_000 }, async () => {
  const first = example("session-lost", "serve", 0);
  const port = await first.port();
  const client = example("session-lost", port);
  for (const name of ["ledger", "metrics", "trades"]) await first.line(new RegExp(`^${name}: hello$`, "u"));
  await first.kill("SIGKILL");

  const second = example("session-lost", "serve", port);
  await client.line(/^ledger: session-lost: hello maybe, important maybe$/u);
  await client.line(/^trades: SESSION_LOST: hello, important$/u);
  await client.count(/^ledger: a new session$/u, 2);
  await client.count(/^metrics: a new session$/u, 2);
  await second.line(/^ledger: hello$/u);
  await second.line(/^metrics: hello$/u);
  expect(second.lines.filter((line) => line.startsWith("trades"))).toEqual([]);
  expect(await client.kill("SIGTERM")).toBe(0);
});
