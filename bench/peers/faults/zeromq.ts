import { Dealer, Pull, Push, Router } from "zeromq";
import { type Contender, DEAD_MS, PING_MS } from "../../faults/contender.ts";
import { HOST } from "../peer.ts";
import { acknowledgement, Unacknowledged } from "./unacknowledged.ts";

const OPTIONS = { heartbeatInterval: PING_MS, heartbeatTimeout: DEAD_MS - PING_MS, handshakeInterval: DEAD_MS };
const LOOK_EVERY_MS = 100;

export const zeromq: Contender = {
  async receive(take) {
    const socket = new Pull(OPTIONS);
    await socket.bind(`tcp://${HOST}:*`);
    void (async () => {
      for await (const [message] of socket) if (message !== undefined) take(message);
    })();
    return { port: portOf(socket.lastEndpoint) };
  },

  async connect({ port }) {
    const socket = new Push(OPTIONS);
    socket.connect(`tcp://${HOST}:${port}`);
    return { send: inTurn((message) => socket.send(message)) };
  },
};

/** As its guide recommends ("Lazy Pirate"): what is not answered in time is sent again. */
export const zeromqResending: Contender = {
  async receive(take) {
    const socket = new Router(OPTIONS);
    await socket.bind(`tcp://${HOST}:*`);
    void (async () => {
      for await (const [from, message] of socket) {
        if (from === undefined || message === undefined) continue;
        take(message);
        await socket.send([from, acknowledgement(message)]);
      }
    })();
    return { port: portOf(socket.lastEndpoint) };
  },

  async connect({ port }) {
    const socket = new Dealer(OPTIONS);
    socket.connect(`tcp://${HOST}:${port}`);
    const messages = new Unacknowledged();
    const write = inTurn((message) => socket.send(message));
    void (async () => {
      for await (const [data] of socket) if (data !== undefined) messages.acknowledged(data);
    })();
    setInterval(() => messages.olderThan(DEAD_MS).forEach(write), LOOK_EVERY_MS);
    return {
      send: (message) => {
        messages.add(message);
        write(message);
      },
    };
  },
};

/** One after another: a socket takes no second message while it has no room for the first one. */
function inTurn(write: (message: Buffer) => Promise<void>): (message: Buffer) => void {
  const waiting: Buffer[] = [];
  let writing = false;
  const go = async (): Promise<void> => {
    writing = true;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await write(next);
    writing = false;
  };
  return (message) => {
    waiting.push(message);
    if (!writing) void go();
  };
}

function portOf(endpoint: string | null): number {
  return Number(new URL((endpoint ?? "").replace("tcp:", "http:")).port);
}
