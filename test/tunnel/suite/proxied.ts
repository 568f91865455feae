/** haproxy before the near end and nginx behind the far end: each knows the client's address. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { installed } from "../../real/install.ts";
import { startNginx } from "../../real/nginx-server.ts";
import { freePort } from "../../real/stage.ts";
import { cutRows, cutWay } from "./cut-rows.ts";
import { ran, told } from "./programs.ts";
import type { TunnelScenario, TunnelStage } from "./stage.ts";

const CLIENTS = 100;
const VERSIONS = { v1: "send-proxy", v2: "send-proxy-v2" } as const;
const LOGGED_WITHIN_MS = 5_000;
const ASKED_EVERY_MS = 50;

export const PROXIED: readonly TunnelScenario[] = [
  ...cutRows("proxied", "haproxy, near end, far end, nginx: its log has the client's address and port", proxied),
];

async function proxied(stage: TunnelStage, tls: boolean): Promise<void> {
  const [program, haproxy] = [installed("curl", "curl"), installed("haproxy", "haproxy")];
  const log = join(stage.folder, "access.log");
  const server = await startNginx(stage, {
    listen: "proxy_protocol",
    http: ["log_format client '$proxy_protocol_addr:$proxy_protocol_port $uri';", `access_log ${log} client;`],
    server: ['location / { return 200 "ok"; }'],
  });
  for (const version of ["v1", "v2"] as const) {
    const way = await cutWay(stage, {
      target: server.port,
      tls,
      nearOptions: ["--accept-proxy", "127.0.0.0/8"],
      farOptions: ["--send-proxy", version],
    });
    const port = await startHaproxy(stage, haproxy, version, way.port);
    const expected: string[] = [];
    const failures: string[] = [];
    const clients = stage.scaled(CLIENTS, 5);
    for (let client = 1; client <= clients; client++) {
      const address = `127.0.1.${client}`;
      const path = `/${version}/${client}`;
      const write = ["-o", "/dev/null", "-w", "%{local_port}"];
      const args = ["-sS", "--fail", "--interface", address, ...write, `http://127.0.0.1:${port}${path}`];
      const result = await ran(stage, program, args);
      if (result.code === 0) expected.push(`${address}:${result.stdout} ${path}`);
      else failures.push(told(result));
    }
    stage.row({
      what: `${version}: clients in the log`,
      figure: await logged(log, expected),
      bound: clients,
      is: "at least",
      unit: "",
      note: [failures[0], expected[0]].filter((part) => part !== undefined).join("; "),
    });
  }
}

/** How many of these lines there are. nginx writes one when it has answered, which the client may know before. */
async function logged(log: string, expected: readonly string[]): Promise<number> {
  const untilMs = performance.now() + LOGGED_WITHIN_MS;
  for (;;) {
    const lines = new Set(readFileSync(log, "utf8").split("\n"));
    const there = expected.filter((line) => lines.has(line)).length;
    if (there === expected.length || performance.now() > untilMs) return there;
    await sleep(ASKED_EVERY_MS);
  }
}

/** Answers the port at which it listens. */
async function startHaproxy(
  stage: TunnelStage,
  command: string,
  version: keyof typeof VERSIONS,
  near: number,
): Promise<number> {
  const port = await freePort();
  const configuration = join(stage.folder, `haproxy-${version}.cfg`);
  writeFileSync(
    configuration,
    `defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen clients
  bind 127.0.0.1:${port}
  server near 127.0.0.1:${near} ${VERSIONS[version]}
`,
  );
  const server = stage.server({ command, args: ["-db", "-f", configuration], port });
  await server.start();
  return port;
}
