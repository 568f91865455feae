/** The servers behind the tunnel and behind the plain relay, in a process of their own. */
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { answerCalls } from "../../../bench/calls.ts";

export type BesideServerCommands = {
  /** Answers its port. */
  listen(kind: keyof typeof KINDS): Promise<number>;
};

const CHUNK = Buffer.alloc(65_536, "resplice ");

const KINDS = {
  /** Sends as long as its client reads. */
  source: (socket: Socket) => {
    const fill = (): void => {
      while (socket.write(CHUNK));
    };
    socket.on("drain", fill);
    fill();
  },
  /** Sends back what comes. */
  echo: (socket: Socket) => void socket.pipe(socket),
  /** Says one byte, and ends when its client does. */
  greeter: (socket: Socket) => {
    socket.resume();
    socket.write("!");
  },
};

answerCalls({
  listen: async (kind) => {
    const server = net.createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => {});
      KINDS[kind](socket);
    });
    server.listen({ port: 0, host: "127.0.0.1", backlog: 1_024 });
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
} satisfies BesideServerCommands);
