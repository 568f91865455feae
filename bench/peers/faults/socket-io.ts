import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server } from "socket.io";
import { io, type Socket } from "socket.io-client";
import { type Contender, DEAD_MS, PING_MS } from "../../faults/contender.ts";
import { HOST } from "../peer.ts";

/** With its own buffer for what is emitted while there is no connection. */
export const socketIo: Contender = {
  receive,
  async connect({ port }) {
    const socket = await connect(port);
    return { send: (message) => socket.emit("message", message) };
  },
};

/** As its page on delivery guarantees has it for "at least once": what is not acknowledged in time is emitted again. */
export const socketIoResending: Contender = {
  receive,
  async connect({ port }) {
    const socket = await connect(port);
    const send = (message: Buffer): void => {
      socket.timeout(DEAD_MS).emit("message", message, (error) => {
        if (error) send(message);
      });
    };
    return { send };
  },
};

async function receive(take: (message: Buffer) => void): Promise<{ port: number }> {
  const server = createServer();
  const options = { pingInterval: PING_MS, pingTimeout: DEAD_MS - PING_MS, connectionStateRecovery: {} };
  new Server(server, options).on("connection", (socket) => {
    socket.on("message", (message, acknowledge) => {
      take(message);
      acknowledge?.();
    });
  });
  server.listen(0, HOST);
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port };
}

async function connect(port: number): Promise<Socket> {
  const socket = io(`http://${HOST}:${port}`, { transports: ["websocket"], timeout: DEAD_MS });
  await new Promise<void>((resolve) => socket.on("connect", resolve));
  return socket;
}
