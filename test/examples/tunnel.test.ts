/** The units and settings in examples/tunnel and docs/tunnel.md, and docker-compose.yml, are what the command takes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { parseTunnel } from "../../src/cli/tunnel/arguments.ts";
import type { TunnelCommand } from "../../src/cli/tunnel/types.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const read = (name: string): string => readFileSync(path(name), "utf8");

/** The command that a unit starts, with the settings beside it. */
function startedBy(end: "far" | "near"): TunnelCommand {
  const [, line = ""] =
    /^ExecStart=\/usr\/local\/bin\/resplice tunnel (.*)$/mu.exec(read(`examples/tunnel/resplice-${end}.service`)) ?? [];
  const words = line.split(" ").map((word) => word.replace("/etc/resplice", path("examples/tunnel")));
  return parseTunnel(words, {});
}

test("the unit of a far end starts one that is protected", () => {
  expect(startedBy("far")).toMatchObject({
    name: "tunnel-far",
    options: { listen: { port: 7_000 }, tls: {}, tokens: {}, notes: [] },
  });
});

test("the unit of a near end starts one that listens at what systemd gives it", () => {
  const target = { host: "localhost", port: 5_432 };
  expect(startedBy("near")).toMatchObject({
    name: "tunnel-near",
    options: { tls: {}, token: {}, tunnels: [{ name: "db", listen: { fd: 3 }, target }], notes: [] },
  });
  expect(read("examples/tunnel/resplice-near.socket").match(/^Listen\w+=.*$/gmu)).toEqual([
    "ListenStream=127.0.0.1:5432",
  ]);
});

test.for(["far", "near"])("systemd is told by the %s end, and waits for longer than its drain", (end) => {
  const unit = read(`examples/tunnel/resplice-${end}.service`);
  expect(unit).toMatch(/^Type=notify$/mu);
  expect(unit).toMatch(/^NotifyAccess=all$/mu);
  expect(unit).toMatch(/^ExecReload=\/bin\/kill -HUP \$MAINPID$/mu);
  const [, stopSeconds] = /^TimeoutStopSec=(\d+)$/mu.exec(unit) ?? [];
  const { drain } = JSON.parse(read(`examples/tunnel/${end}.json`)) as { drain: number };
  expect(Number(stopSeconds)).toBeGreaterThan(drain + 10);
});

test("the settings of docs/tunnel.md can be read, and name what is checked there", () => {
  const [, settings = ""] = /```json\n(.*?)```/su.exec(read("docs/tunnel.md")) ?? [];
  const folder = mkdtempSync(join(tmpdir(), "resplice-doc-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "near.json");
  writeFileSync(file, settings);
  const near = parseTunnel(["near", "--config", file], {});
  expect(near.name === "tunnel-near" && near.options.tunnels.length).toBe(2);
  expect(parseTunnel(["check", "db", "--config", file], {})).toMatchObject({ options: { target: { port: 5_432 } } });
});

test("docker-compose.yml starts ends that are protected, and checks what the near end is for", () => {
  const compose = read("docker-compose.yml");
  const [far, near, check] = [...compose.matchAll(/^ +node dist\/cli\/main\.js tunnel (.*\n.*)$/gmu)].map(
    ([, words = ""]) => parseTunnel(words.split(/\s+/u), {}),
  );
  const connection = { far: { host: "far", port: 7_000 }, tls: { ca: "/files/ca.pem" }, token: {} };
  const target = { host: "database", port: 5_432 };
  expect(far).toMatchObject({
    name: "tunnel-far",
    options: { listen: { port: 7_000 }, tls: {}, tokens: {}, notes: [] },
  });
  expect(near).toMatchObject({
    name: "tunnel-near",
    options: { ...connection, tunnels: [{ listen: { host: "0.0.0.0", port: 5_432 }, target }] },
  });
  expect(check).toMatchObject({ name: "tunnel-check", options: { ...connection, target } });
  // Inside the container every address; on the host this machine alone.
  expect(compose.match(/^ +ports: .*$/gmu)).toEqual(['    ports: ["127.0.0.1:5433:5432"]']);
  const [grace = 0, ...others] = [...compose.matchAll(/^ +stop_grace_period: (\d+)s/gmu)].map(([, each]) =>
    Number(each),
  );
  expect(others).toEqual([grace]);
  for (const end of [far, near]) {
    expect(end).toMatchObject({ options: { drainMs: expect.toSatisfy((ms: number) => ms < grace * 1_000) as number } });
  }
});
