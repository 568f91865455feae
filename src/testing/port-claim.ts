/**
 * Reserves a port on 127.0.0.1 while its server is away and will come back. Otherwise the system may give the port to
 * another process, and clients that still dial it would reach that one.
 *
 * A socket that is connected to itself reserves the port. Dials are still refused, and a listener can still bind the
 * port, in this process or another, if it sets SO_REUSEADDR as Node and Go do. A second claim of the same port fails:
 * the address is in use. The socket does not keep the process alive.
 */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

const HOST = "127.0.0.1";

export class PortClaim implements Disposable {
  readonly port: number;
  /**
   * Rejects with the system's error if a listener or another claim has the port. Stays pending if the claim is released
   * before.
   */
  readonly settled: Promise<void>;
  readonly #socket: Socket | undefined;

  constructor(port: number) {
    this.port = port;
    // Not on Windows: listeners do not set SO_REUSEADDR there, and could not bind the port.
    this.#socket =
      process.platform === "win32" ? undefined : connect({ port, host: HOST, localPort: port, localAddress: HOST });
    this.settled = this.#socket === undefined ? Promise.resolve() : connected(this.#socket);
    this.settled.catch(() => {}); // callers need not await it
  }

  /** A listener that binds the port while this is true would accept this socket as a client. */
  get connecting(): boolean {
    return this.#socket?.connecting === true;
  }

  /** May be called again. */
  release(): void {
    if (this.connecting) this.#socket?.destroy();
    // A FIN would keep the port in TIME_WAIT for a minute.
    else this.#socket?.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

async function connected(socket: Socket): Promise<void> {
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.unref();
}

/**
 * Claims a free port on 127.0.0.1 between 20,000 and 31,999, so that no other run on this machine gets it while its
 * server is away. The range is outside those of ephemeral ports (Linux 32768 to 60999, macOS and Windows from 49152).
 * For a server that goes away and comes back, an ephemeral port is unsafe in two ways: another connection may get it
 * meanwhile; and a client that dials it on loopback while nobody listens may get it as its own port, and be connected
 * to itself.
 */
export async function claimPort(): Promise<PortClaim> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const claim = new PortClaim(randomInt(20_000, 32_000));
    const claimed = await claim.settled.then(
      () => canListen(claim.port),
      () => false,
    );
    if (claimed) return claim;
    claim.release();
  }
  throw new Error("no free port between 20000 and 31999 on 127.0.0.1 (100 tried)");
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, HOST);
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
