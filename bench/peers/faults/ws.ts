import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { type Contender, DEAD_MS, PING_MS } from "../../faults/contender.ts";
import { HOST } from "../peer.ts";
import { acknowledgement, Unacknowledged } from "./unacknowledged.ts";

const DIAL_AGAIN_MS = 200;

/** With the heartbeat of its README. What was given to send() while a connection was lost is not sent again. */
export const ws: Contender = {
  receive: (take) => receive((_socket, message) => take(message)),

  async connect({ port }) {
    const waiting: Buffer[] = [];
    let socket: WebSocket | undefined;
    await dial(port, (opened) => {
      socket = opened;
      for (const message of waiting.splice(0)) opened.send(message);
    });
    return {
      send: (message) => {
        if (socket?.readyState === WebSocket.OPEN) socket.send(message);
        else waiting.push(message);
      },
    };
  },
};

/** The same, and the receiver acknowledges each message. What is not acknowledged is sent again on the next connection. */
export const wsResending: Contender = {
  receive: (take) =>
    receive((socket, message) => {
      take(message);
      socket.send(acknowledgement(message));
    }),

  async connect({ port }) {
    const messages = new Unacknowledged();
    let socket: WebSocket | undefined;
    await dial(port, (opened) => {
      socket = opened;
      opened.on("message", (data) => messages.acknowledged(data as Buffer));
      for (const message of messages.all()) opened.send(message);
    });
    return {
      send: (message) => {
        messages.add(message);
        if (socket?.readyState === WebSocket.OPEN) socket.send(message);
      },
    };
  },
};

async function receive(take: (from: WebSocket, message: Buffer) => void): Promise<{ port: number }> {
  const server = new WebSocketServer({ port: 0, host: HOST });
  server.on("connection", (socket) => {
    let alive = true;
    socket.on("pong", () => (alive = true));
    const heartbeat = setInterval(() => {
      if (!alive) socket.terminate();
      alive = false;
      socket.ping();
    }, PING_MS);
    socket.on("message", (data) => take(socket, data as Buffer));
    socket.on("error", () => {}); // 'close' follows
    socket.on("close", () => clearInterval(heartbeat));
  });
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port };
}

/** Again and again; resolves when it is connected for the first time. */
function dial(port: number, onOpen: (socket: WebSocket) => void): Promise<void> {
  return new Promise((resolve) => {
    const attempt = (): void => {
      const socket = new WebSocket(`ws://${HOST}:${port}`, { handshakeTimeout: DEAD_MS });
      const giveUp = setTimeout(() => socket.terminate(), DEAD_MS);
      socket.on("ping", () => giveUp.refresh());
      socket.on("error", () => {}); // 'close' follows
      socket.on("open", () => {
        giveUp.refresh();
        onOpen(socket);
        resolve();
      });
      socket.on("close", () => {
        clearTimeout(giveUp);
        setTimeout(attempt, DIAL_AGAIN_MS);
      });
    };
    attempt();
  });
}
