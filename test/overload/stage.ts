/** A server in a process of its own, and clients in this one. */
import type { Commands } from "../../bench/calls.ts";
import { ConnectionManager, type Link } from "../../src/index.ts";
import type { Child } from "../endurance/child.ts";
import { RealStage } from "../real/stage.ts";
import type { Scenario } from "../endurance/suite.ts";
import { nodeOf } from "./install.ts";
import type { ListenOptions, Reported, ServerCommands } from "./server.ts";

export type { Reported };

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
  /** `major`: the version of Node that runs the server; our own if there is none. */
  async serve(
    options: ListenOptions,
    nodeOptions = "",
    major?: string,
  ): Promise<{ server: Child<ServerCommands>; port: number }> {
    const server = this.child<ServerCommands>(MODULE, "server", nodeOptions, major);
    return { server, port: await server.call("listen", options) };
  }

  /** A process that ends when the row is over. */
  child<C extends Commands>(module: URL, name: string, nodeOptions = "", major?: string): Child<C> {
    return this.worker<C>(module, name, { NODE_OPTIONS: nodeOptions }, major && nodeOf(major));
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
