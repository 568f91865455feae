/** An nginx in the foreground, with one server, all of whose files are in the scenario's folder. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { installed } from "./install.ts";
import type { ServerProcess } from "./server-process.ts";
import { freePort, type RealStage } from "./stage.ts";

const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

export interface NginxOptions {
  /** What follows the address that it listens at: "ssl", "proxy_protocol". */
  listen?: string;
  /** Directives of all servers. */
  http?: readonly string[];
  /** Directives of the server. */
  server: readonly string[];
}

export async function startNginx(
  stage: RealStage,
  { listen = "", http = [], server }: NginxOptions,
): Promise<ServerProcess> {
  const port = await freePort();
  const path = (name: string): string => join(stage.folder, name);
  const configuration = `
    daemon off;
    worker_processes 1;
    pid ${path("nginx.pid")};
    error_log stderr;
    events { worker_connections 4096; }
    http {
      ${TEMPORARY.map((name) => `${name}_temp_path ${path(name)};`).join(" ")}
      ${http.join("\n")}
      server {
        listen 127.0.0.1:${port} ${listen};
        ${server.join("\n")}
      }
    }`;
  writeFileSync(path("nginx.conf"), configuration);
  const command = installed("nginx", "nginx");
  const args = ["-p", stage.folder, "-e", "stderr", "-c", path("nginx.conf")];
  const process = stage.server({ command, args, port, endSignal: "SIGTERM" });
  await process.start();
  return process;
}
