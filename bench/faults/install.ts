/** What contenders need that is not in this repository, and which versions of it there are. */
import { spawnSync } from "node:child_process";
import {
  installedVersion,
  installNatsServer,
  installPeers,
  NATS_SERVER_VERSION,
  natsServer,
} from "../peers-install.ts";
import type { Broker } from "../peers/broker-worker.ts";
import type { BrokerKind, ContenderDefinition } from "./list.ts";

/** Fetches what is missing. Throws with the reason if it cannot be had. */
export function install({ packages, broker }: ContenderDefinition, onProgress: (text: string) => void): void {
  if (packages.length > 0) installPeers(onProgress);
  if (broker === "nats") installNatsServer(onProgress);
  else if (broker !== null) brokerVersion(broker);
}

/** Of its packages and its broker, as text. */
export function versionOf({ name, packages, broker }: ContenderDefinition): string {
  const parts = packages.map((packageName) => `${packageName} ${installedVersion(packageName)}`);
  if (broker !== null) parts.push(`${programOf(broker).command} ${brokerVersion(broker)}`);
  if (parts.length > 0) return parts.join(", ");
  return name === "resplice" ? "this one" : `Node ${process.versions.node}`;
}

/** What starts it. */
export function brokerOf(kind: BrokerKind): Broker {
  return { kind, command: kind === "nats" ? natsServer() : programOf(kind).command };
}

function programOf(kind: BrokerKind): { command: string; says: readonly string[]; debian: string } {
  switch (kind) {
    case "nats":
      return { command: "nats-server", says: [], debian: "" };
    case "redis":
      return { command: "redis-server", says: ["--version"], debian: "redis-server" };
    case "mosquitto":
      return { command: "mosquitto", says: ["-h"], debian: "mosquitto" };
  }
}

function brokerVersion(kind: BrokerKind): string {
  if (kind === "nats") return NATS_SERVER_VERSION;
  const { command, says, debian } = programOf(kind);
  const { error, stdout } = spawnSync(command, says, { encoding: "utf8" });
  if (error !== undefined) {
    throw new Error(`${command} cannot be run (${error.message}): on Debian, apt-get install ${debian}`);
  }
  return /\d+\.\d+\.\d+/u.exec(stdout)?.[0] ?? "unknown";
}
