/** The servers of dnsmasq.ts: they take connections, and cut all of them when they are told. */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { answerCalls } from "../../bench/calls.ts";
import { type Reading, readingMs } from "./reading.ts";

export type NamesCommands = {
  listen(on: { port: number; addresses: readonly string[] }): Promise<void>;
  /** All connections, once there are so many. */
  cut(connections: number): Promise<void>;
  /** As the client reads meanwhile, from a process that has nothing else to do. */
  readingMs(reading: Reading): Promise<number>;
};

const LOOK_MS = 10;

const sockets = new Set<net.Socket>();

answerCalls({
  listen: async ({ port, addresses }) => {
    for (const address of addresses) await once(net.createServer(taken).listen(port, address), "listening");
  },
  cut: async (connections) => {
    // A client is connected before its connection is accepted.
    while (sockets.size < connections) await sleep(LOOK_MS);
    for (const socket of sockets) socket.destroy();
  },
  readingMs,
} satisfies NamesCommands);

function taken(socket: net.Socket): void {
  sockets.add(socket);
  socket.on("error", () => {});
  socket.once("close", () => sockets.delete(socket));
}
