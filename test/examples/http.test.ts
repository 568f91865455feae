import { expect, test } from "vitest";
import { GET, httpClient } from "../supervise/servers.ts";
import { example } from "./support/program.ts";

test("requests under way are answered after SIGTERM, and the process ends", { timeout: 30_000 }, async () => {
  const server = example("http", 0);
  const port = await server.port();
  const health = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { connection: "close" } });
  expect([health.status, await health.json()]).toEqual([200, { status: "healthy", reasons: [] }]);
  const clients = await Promise.all(Array.from({ length: 5 }, () => httpClient(port)));
  for (const client of clients) client.socket.write(GET);
  await Promise.all(clients.map(({ until }) => until(/hello \//u)));
  for (const client of clients) client.socket.write(GET.replace("/", "/last"));
  const exited = server.kill("SIGTERM");
  await Promise.all(clients.map(({ closed }) => closed));
  for (const { text } of clients) expect(text).toMatch(/connection: close[^]*hello \/last/iu);
  expect(await exited).toBe(0);
  expect(server.lines.at(-1)).toMatch(/^closed in \d+ ms, 0 left$/u);
});
