/** The servers, links and files of one scenario, and the rows that come of it. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Commands } from "../../bench/calls.ts";
import { ConnectionManager, type ConnectionManagerOptions } from "../../src/index.ts";
import { Child } from "../endurance/child.ts";
import { type Row, type RowDraft, toRow } from "../endurance/rows.ts";
import type { Scenario, Stage } from "../endurance/suite.ts";
import { ServerProcess, type ServerProcessOptions } from "./server-process.ts";

export type RealScenario = Scenario<RealStage>;

export class RealStage implements Stage {
  readonly rows: Row[] = [];
  /** How much of each scenario is played, in percent: 100 is what the documentation states. */
  readonly percent: number;
  /** A temporary folder, for the servers' configuration, data and logs. */
  readonly folder: string;
  readonly #scenario: string;
  readonly #closing: Array<() => unknown> = [];

  constructor(scenario: string, percent: number) {
    this.#scenario = scenario;
    this.percent = percent;
    this.folder = mkdtempSync(join(tmpdir(), `resplice-${scenario}-`));
  }

  row(draft: RowDraft): void {
    this.rows.push(toRow(this.#scenario, draft));
  }

  /** `whole` at 100 percent, proportionally fewer below, but never fewer than `least`. */
  scaled(whole: number, least = 1): number {
    return Math.max(least, Math.round((whole * this.percent) / 100));
  }

  /** A server's process, which is ended when the scenario is over. */
  server(options: Omit<ServerProcessOptions, "folder">): ServerProcess {
    const server = new ServerProcess({ ...options, folder: this.folder });
    this.onClose(() => server.stop(options.endSignal));
    return server;
  }

  /** A process of our own that answers calls, and ends when the scenario is over. */
  worker<C extends Commands>(...started: ConstructorParameters<typeof Child<C>>): Child<C> {
    const child = new Child<C>(...started);
    this.onClose(() => child.stop());
    return child;
  }

  /** A manager that is closed when the scenario is over, without waiting for its links. */
  manager(options?: ConnectionManagerOptions): ConnectionManager {
    const manager = new ConnectionManager(options);
    this.onClose(() => manager.close({ deadlineMs: 0 }));
    return manager;
  }

  /** Is called when the scenario is over, however it ended; the last one first. */
  onClose(close: () => unknown): void {
    this.#closing.unshift(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closing) await close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
