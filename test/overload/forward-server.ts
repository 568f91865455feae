/** A server process of `forward.ts`: an echo server that shares its port or its balancer with others. */
import cluster from "node:cluster";
import { ServerSupervisor, type ServerSupervisorOptions } from "../../src/index.ts";

export interface Order {
  dir: string;
  tls: { key: string; cert: string } | undefined;
}

export interface Told {
  port: number;
}

/** In a worker of node:cluster, and in a process that was forked. */
const send = (told: Told): void => void process.send?.(told);

process.once("message", ({ dir, tls }: Order) => {
  const options: ServerSupervisorOptions = { port: 0, host: "127.0.0.1", forward: { dir } };
  const supervisor = new ServerSupervisor(tls === undefined ? options : { ...options, tls });
  supervisor.serve(async (link) => {
    for await (const message of link) await link.send(message);
  });
  void supervisor.listen().then((address) => send({ port: address.port }));
});
if (cluster.isWorker) send({ port: 0 });
