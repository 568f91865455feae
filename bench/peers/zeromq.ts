import { Pull, Push } from "zeromq";

import { HOST, type Peer } from "./peer.ts";

export const zeromq: Peer = {
  async receive(take) {
    const socket = new Pull();
    await socket.bind(`tcp://${HOST}:*`);
    void receiveAll(socket, take);
    return Number(new URL((socket.lastEndpoint ?? "").replace("tcp:", "http:")).port);
  },

  async send(next, port) {
    const socket = new Push();
    socket.connect(`tcp://${HOST}:${port}`);
    for (let message = next(); message !== undefined; message = next()) await socket.send(message);
    await new Promise((resolve) => setTimeout(resolve, UNWRITTEN_MS));
  },
};

/** close() would throw away what a background thread has still to write, and nothing says when it has. */
const UNWRITTEN_MS = 500;

async function receiveAll(socket: Pull, take: (message: Buffer) => void): Promise<void> {
  for await (const [message] of socket) {
    if (message !== undefined) take(message);
  }
}
