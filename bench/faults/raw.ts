import { once } from "node:events";
import net from "node:net";
import { HOST } from "../contenders.ts";
import { RawConversation } from "../raw.ts";
import { type Contender, DEAD_MS, PING_MS } from "./contender.ts";

const DIAL_AGAIN_MS = 200;

/**
 * As one would write it by hand: the receiver sends a byte every second, both ends give up a connection that is silent
 * for two, and the sender dials again. Messages wait while there is no connection; what was written to one that is lost
 * is not written again.
 */
export const raw: Contender = {
  async receive(take) {
    const sockets = new Set<net.Socket>();
    const server = net.createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      giveUpWhenSilent(socket);
      const heartbeat = setInterval(() => socket.write("."), PING_MS);
      socket.once("close", () => {
        clearInterval(heartbeat);
        sockets.delete(socket);
      });
      new RawConversation(socket).onMessage(take);
    });
    server.listen(0, HOST);
    await once(server, "listening");
    return {
      port: (server.address() as net.AddressInfo).port,
      close: async () => {
        for (const socket of sockets) socket.destroy();
        server.close();
        await once(server, "close");
      },
    };
  },

  connect: ({ port }) =>
    new Promise((resolve) => {
      const waiting: Buffer[] = [];
      let open: RawConversation | undefined;
      let again: NodeJS.Timeout | undefined;
      let socket: net.Socket;
      const send = (message: Buffer): void => {
        if (open === undefined) waiting.push(message);
        else open.sendNow(message);
      };
      const close = async (): Promise<void> => {
        socket.removeAllListeners("close").destroy();
        clearTimeout(again);
      };
      const dial = (): void => {
        socket = net.connect({ port, host: HOST, noDelay: true });
        const dialled = new RawConversation(socket);
        socket.once("connect", () => {
          open = dialled;
          for (const message of waiting.splice(0)) dialled.sendNow(message);
          resolve({ send, close });
        });
        giveUpWhenSilent(socket);
        socket.once("close", () => {
          open = undefined;
          again = setTimeout(dial, DIAL_AGAIN_MS);
        });
      };
      dial();
    }),
};

/** A socket's own timeout would be put off by what it writes. */
function giveUpWhenSilent(socket: net.Socket): void {
  const giveUp = setTimeout(() => socket.destroy(), DEAD_MS);
  socket.on("data", () => giveUp.refresh());
  socket.once("close", () => clearTimeout(giveUp));
}
