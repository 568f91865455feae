/** A balancer in front of a server: each connection begins with a header. */
import net from "node:net";
import { onTestFinished } from "vitest";
import { rawServer } from "../support.ts";

/** A connection that begins with these bytes. */
export function connectWith(header: Uint8Array, where: net.NetConnectOpts): net.Socket {
  const socket = net.connect(where);
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  socket.write(header);
  return socket;
}

/** The port of a balancer that passes connections on. `headerOf` is called for each. */
export function balancerTo(port: number, headerOf: () => Uint8Array): Promise<number> {
  return rawServer((client) => {
    const server = connectWith(headerOf(), { port, host: "127.0.0.1" });
    client.pipe(server).pipe(client);
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
  });
}

/** Resolves when the connection is closed, with an error or without. */
export function closed(socket: net.Socket): Promise<void> {
  socket.resume();
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}
