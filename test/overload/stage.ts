/** A server in a process of its own, and clients in this one. */
import { ConnectionManager, type Link } from "../../src/index.ts";
import { Child } from "../endurance/child.ts";
import { RealStage } from "../real/stage.ts";
import type { Scenario } from "../endurance/suite.ts";
import type { ListenOptions, Reported, ServerCommands } from "./server.ts";

export type OverloadScenario = Scenario<OverloadStage>;

/** None of the process's resources is watched; a row lists those that it is about. */
export const NONE = {
  descriptors: false,
  heap: false,
  memory: false,
  bufferBytes: false,
  lag: false,
  tcpMemory: false,
} as const;

const MODULE = new URL("server.ts", import.meta.url);

export class OverloadStage extends RealStage {
  async serve(options: ListenOptions, nodeOptions = ""): Promise<{ server: Child<ServerCommands>; port: number }> {
    const server = new Child<ServerCommands>(MODULE, "server", { NODE_OPTIONS: nodeOptions });
    this.onClose(() => server.stop());
    return { server, port: await server.call("listen", options) };
  }

  /** So many links, connected. */
  async clients(port: number, number: number): Promise<Link[]> {
    const manager = new ConnectionManager({ maxDialsPerSecond: 100_000, maxDialsInFlight: 200 });
    this.onClose(() => manager.close({ deadlineMs: 0 }));
    const links = Array.from({ length: number }, () => manager.open({ port, host: "127.0.0.1" }));
    await manager.connected();
    return links;
  }
}

/** The steps as words, for a note. */
export function told(reports: readonly Reported[]): string {
  return reports.map(({ type, action }) => (action === undefined ? type : `${type} ${action}`)).join(", ");
}

export function actions(reports: readonly Reported[]): Reported[] {
  return reports.filter(({ type }) => type === "act");
}
