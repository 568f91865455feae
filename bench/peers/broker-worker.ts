/** A NATS server, with a parent that takes it along when it goes. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { answerCalls } from "../calls.ts";
import { given } from "../worker.ts";
import { HOST } from "./peer.ts";

export type BrokerCommands = {
  /** Resolves with its port. */
  listen(): Promise<number>;
};

answerCalls({ listen } satisfies BrokerCommands);

function listen(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "resplice-nats-"));
  const anyPort = "-1";
  const server = spawn(given() as string, ["-a", HOST, "-p", anyPort, "-js", "-sd", folder], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  process.on("exit", () => {
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));
  let port = 0;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`nats-server ended with ${code}`)));
    createInterface(server.stderr).on("line", (line) => {
      port = Number(/client connections on \S+:(\d+)/.exec(line)?.[1] ?? port);
      if (line.includes("Server is ready")) resolve(port);
    });
  });
}
