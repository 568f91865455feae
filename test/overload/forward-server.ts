/** A server process of `forward.ts`: an echo server that shares its port or its balancer with others. */
import cluster from "node:cluster";
import { ServerSupervisor, type ServerSupervisorOptions } from "../../src/index.ts";

/** With a folder connections are forwarded; without, a router hands them over. */
export interface Order {
  dir: string | undefined;
  tls: { key: string; cert: string } | undefined;
}

export interface Told {
  port: number;
}

/** In a worker of node:cluster, and in a process that was forked. */
const send = (told: Told): void => void process.send?.(told);

function optionsOf({ dir, tls }: Order): ServerSupervisorOptions {
  if (dir === undefined) return { port: 0, routed: true };
  const options: ServerSupervisorOptions = { port: 0, host: "127.0.0.1", forward: { dir } };
  return tls === undefined ? options : { ...options, tls };
}

process.once("message", (order: Order) => {
  const supervisor = new ServerSupervisor(optionsOf(order));
  supervisor.serve(async (link) => {
    for await (const message of link) await link.send(message);
  });
  void supervisor.listen().then((address) => send({ port: address.port }));
});
if (cluster.isWorker) send({ port: 0 });
