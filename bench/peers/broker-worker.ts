/** A NATS, MQTT or Redis server, with a parent that takes it along when it goes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { answerCalls } from "../calls.ts";
import { given } from "../worker.ts";
import { HOST } from "./peer.ts";

export interface Broker {
  kind: keyof typeof KINDS;
  /** The program. */
  command: string;
}

export type BrokerCommands = {
  /** Resolves with its port. */
  listen(): Promise<number>;
};

const KINDS = {
  nats: {
    args: (port: number, folder: string) => ["-a", HOST, "-p", `${port}`, "-js", "-sd", folder],
    ready: "Server is ready",
  },
  /**
   * Its settings are in a file only. Without limits, as the others: by default it cuts off a client that has more than 20
   * messages of QoS 2 under way. And without Nagle's algorithm, which all others leave out by themselves.
   */
  mosquitto: {
    args: (port: number, folder: string) => {
      const file = join(folder, "mosquitto.conf");
      const lines = [
        `listener ${port} ${HOST}`,
        "allow_anonymous true",
        "persistence false",
        "max_queued_messages 0",
        "max_inflight_messages 0",
        "set_tcp_nodelay true",
      ];
      writeFileSync(file, `${lines.join("\n")}\n`);
      return ["-c", file];
    },
    ready: " running",
  },
  /** With an empty `--save` nothing is kept on disk. */
  redis: {
    args: (port: number, folder: string) => ["--bind", HOST, "--port", `${port}`, "--dir", folder, "--save", ""],
    ready: "Ready to accept connections",
  },
};

answerCalls({ listen } satisfies BrokerCommands);

async function listen(): Promise<number> {
  const { kind, command } = given() as Broker;
  const folder = mkdtempSync(join(tmpdir(), `resplice-${kind}-`));
  const port = await freePort();
  const server = spawn(command, KINDS[kind].args(port, folder), { stdio: ["ignore", "pipe", "pipe"] });
  process.on("exit", () => {
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`${command} ended with ${code}`)));
    for (const output of [server.stdout, server.stderr]) {
      createInterface(output).on("line", (line) => {
        if (line.includes(KINDS[kind].ready)) resolve(port);
      });
    }
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
