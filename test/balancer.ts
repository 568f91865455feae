/** A balancer that knows nothing of sessions: each connection goes to the next server in turn. */
import net from "node:net";

export interface Balancer {
  port: number;
  /** Cuts all connections. Answers how many there were. */
  cut(): number;
  /** From now on connections go to these servers. */
  route(ports: readonly number[]): void;
  close(): void;
}

/** A server that does not accept a connection costs its client that attempt. */
export async function balance(ports: readonly number[]): Promise<Balancer> {
  const open = new Set<net.Socket>();
  let servers = ports;
  let turn = 0;
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const port = servers[turn++ % servers.length] as number;
    const to = net.connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    open.add(socket);
    const end = (): void => {
      open.delete(socket);
      socket.destroy();
      to.destroy();
    };
    for (const each of [socket, to]) each.on("error", end).on("close", end);
    socket.pipe(to);
    to.pipe(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen({ port: 0, host: "127.0.0.1" }, resolve);
  });
  return {
    port: (server.address() as net.AddressInfo).port,
    cut: () => {
      const cut = open.size;
      for (const socket of open) socket.resetAndDestroy();
      return cut;
    },
    route: (next) => {
      servers = next;
    },
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
