import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server } from "socket.io";
import { io, type Socket } from "socket.io-client";

import { A_TURN, HOST, IN_FLIGHT, nextTurn, type Peer } from "./peer.ts";

/** Packets that wait in the engine, which has no limit of its own. */
const WAITING_MAX = 1_000;

export const socketIo: Peer = {
  receive,
  async send(next, port) {
    const socket = await connect(port);
    let sent = 0;
    for (let message = next(); message !== undefined; message = next()) {
      socket.emit("message", message);
      if (++sent % A_TURN === 0) await nextTurn();
      if (socket.io.engine.writeBuffer.length > WAITING_MAX) await once(socket.io.engine, "drain");
    }
  },
};

export const socketIoWithAcks: Peer = {
  receive,
  async send(next, port) {
    const socket = await connect(port);
    const sendEach = async (): Promise<void> => {
      for (let message = next(); message !== undefined; message = next()) await socket.emitWithAck("message", message);
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, sendEach));
  },
};

async function receive(take: (message: Buffer) => void): Promise<number> {
  const server = createServer();
  new Server(server).on("connection", (socket) => {
    socket.on("message", (message, acknowledge) => {
      take(message);
      acknowledge?.();
    });
  });
  server.listen(0, HOST);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function connect(port: number): Promise<Socket> {
  const socket = io(`http://${HOST}:${port}`, { transports: ["websocket"] });
  await new Promise<void>((resolve) => socket.on("connect", resolve));
  return socket;
}
