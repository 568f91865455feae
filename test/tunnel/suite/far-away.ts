/**
 * A path of 25 ms each way, with the handshake of TCP: a relay that accepts at once as every listener does, but treats a
 * connection as if its SYN had to travel. netem would do the same with packets, but not every kernel has it.
 */
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { answerCalls } from "../../../bench/calls.ts";

export type FarAwayCommands = {
  /** Answers the port of a path to `port`, which takes so long each way. */
  open(options: { port: number; oneWayMs: number }): Promise<number>;
};

answerCalls({
  open: async ({ port, oneWayMs }) => {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      // SYN, SYN-ACK and ACK: there the server accepts. With the ACK the client's first bytes may come.
      const acceptedMs = performance.now() + 3 * oneWayMs;
      const waiting = delayed(client, acceptedMs, oneWayMs);
      setTimeout(() => {
        const onwards = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
        waiting.to(onwards);
        delayed(onwards, 0, oneWayMs).to(client);
      }, 3 * oneWayMs);
    });
    server.listen({ port: 0, host: "127.0.0.1", backlog: 1_024 });
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
} satisfies FarAwayCommands);

/** What comes from a socket, later: nothing before `fromMs`. For few bytes: it reads whether they are taken or not. */
function delayed(from: Socket, fromMs: number, byMs: number): { to(socket: Socket): void } {
  const target = Promise.withResolvers<Socket>();
  const waiting: Array<(socket: Socket) => void> = [];
  const later = (act: (socket: Socket) => void): void => {
    waiting.push(act);
    // The first goes first, in whatever order the timers run.
    const pass = (socket: Socket): void => waiting.shift()?.(socket);
    setTimeout(() => void target.promise.then(pass), Math.max(fromMs - performance.now(), byMs));
  };
  from.on("data", (chunk) => later((socket) => void socket.write(chunk)));
  from.on("end", () => later((socket) => void socket.end()));
  from.on("error", () => later((socket) => void socket.resetAndDestroy()));
  return { to: target.resolve };
}
