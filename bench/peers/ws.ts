import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";

import { A_TURN, HOST, nextTurn, type Peer } from "./peer.ts";

const BUFFERED_MAX = 1_048_576;

export const ws: Peer = {
  async receive(take) {
    const server = new WebSocketServer({ port: 0, host: HOST });
    server.on("connection", (socket) => socket.on("message", (data) => take(data as Buffer)));
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },

  async send(next, port) {
    const socket = new WebSocket(`ws://${HOST}:${port}`);
    await once(socket, "open");
    let sent = 0;
    for (let message = next(); message !== undefined; message = next()) {
      const last = message;
      // Its callback says that the kernel has the message: the only sign of room that there is.
      if (socket.bufferedAmount < BUFFERED_MAX) socket.send(last);
      else await new Promise<void>((resolve) => socket.send(last, () => resolve()));
      if (++sent % A_TURN === 0) await nextTurn();
    }
  },
};
