import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { example } from "./support/program.ts";

test("each payment is in the database once, though the server is killed twice", { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "resplice-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "payments.db");
  const first = example("payments", "serve", 0, path);
  const port = await first.port();
  const client = example("payments", "pay", port, 30_000);

  await first.count(/^committed /u, 3);
  await first.kill("SIGKILL");
  const second = example("payments", "serve", port, path);
  await second.count(/^committed /u, 3);
  await second.kill("SIGKILL");
  const third = example("payments", "serve", port, path);
  expect(await client.exited).toBe(0);
  expect(client.lines).toContain("paid 30000");
  expect(client.lines.filter((line) => line.includes("in doubt"))).toHaveLength(2);
  expect(await third.kill("SIGTERM")).toBe(0);

  const db = new DatabaseSync(path, { readOnly: true });
  const [totals] = db.prepare("select count(*) as payments, count(distinct body) as different from payments").all();
  db.close();
  expect(totals).toEqual({ payments: 30_000, different: 30_000 });
});
