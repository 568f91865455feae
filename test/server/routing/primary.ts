/** The primary process of a cluster: a router, and workers that are forked and ended as it is told. */
import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { answerCalls } from "../../../bench/calls.ts";
import { type ConnectionRouter, routeConnections, type RouterStats } from "../../../src/index.ts";

export type PrimaryCommands = {
  /** Answers the port. */
  route: () => Promise<number>;
  /** Resolves with the id of the worker's process when it listens, at the router's port. */
  fork: () => Promise<number>;
  /** Answers how the worker has ended. */
  close: (pid: number) => Promise<unknown>;
  kill: (pid: number) => Promise<unknown>;
  stats: () => RouterStats;
  /** Open descriptors of this process. */
  descriptors: () => number;
};

cluster.setupPrimary({ exec: fileURLToPath(new URL("worker.ts", import.meta.url)), execArgv: [] });
const workers = new Map<number, Worker>();
let router: ConnectionRouter | undefined;

function workerOf(pid: number): Worker {
  const worker = workers.get(pid);
  if (worker === undefined) throw new Error(`no worker ${pid}`);
  return worker;
}

async function exit(worker: Worker): Promise<unknown> {
  const [code, signal] = (await once(worker, "exit")) as [number | null, string | null];
  return signal ?? code;
}

answerCalls({
  route: async () => {
    router = await routeConnections({ port: 0, host: "127.0.0.1" });
    return router.address?.port ?? 0;
  },
  fork: async () => {
    const worker = cluster.fork();
    // Two messages may come at once, of which once() would hear the first.
    const listening = await new Promise<number>((resolve) => {
      worker.on("message", (message: { listening?: number }) => {
        if (message.listening !== undefined) resolve(message.listening);
      });
    });
    if (router !== undefined && listening !== router.address?.port) throw new Error("another port");
    const { pid = 0 } = worker.process;
    workers.set(pid, worker);
    return pid;
  },
  close: (pid) => {
    const worker = workerOf(pid);
    worker.send("close");
    return exit(worker);
  },
  kill: (pid) => {
    const worker = workerOf(pid);
    worker.process.kill("SIGKILL");
    return exit(worker);
  },
  stats: () => (router as ConnectionRouter).stats(),
  descriptors: () => readdirSync("/proc/self/fd").length,
} satisfies PrimaryCommands);
