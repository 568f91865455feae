/**
 * Keeps a port on 127.0.0.1 that nobody listens on now, but will again. Otherwise the next who asks for a free port is given
 * it, and clients that still dial it find a stranger there.
 *
 * What keeps it is a socket that is connected to itself: dials are refused all the same, and a listener may come beside it,
 * ours or another process's, if it sets SO_REUSEADDR as Node and Go do. It is a claim, too: a second such socket finds the
 * address in use. It does not keep the process alive.
 */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

const HOST = "127.0.0.1";

export class PortClaim implements Disposable {
  readonly port: number;
  /**
   * Rejects with the system's error where the port is somebody else's: a listener's, another claim's. Stays pending if it is
   * released before.
   */
  readonly settled: Promise<void>;
  readonly #socket: Socket | undefined;

  constructor(port: number) {
    this.port = port;
    // On Windows, where listeners don't set SO_REUSEADDR, none could come beside it.
    this.#socket =
      process.platform === "win32" ? undefined : connect({ port, host: HOST, localPort: port, localAddress: HOST });
    this.settled = this.#socket === undefined ? Promise.resolve() : connected(this.#socket);
    this.settled.catch(() => {}); // not everybody asks
  }

  /** Who listens while this is true has it for a client. */
  get connecting(): boolean {
    return this.#socket?.connecting === true;
  }

  /** May be called again. */
  release(): void {
    if (this.connecting) this.#socket?.destroy();
    // A close in order would keep the port for a minute more.
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
 * A free port on 127.0.0.1 between 20,000 and 31,999, kept until it is released, so that no other run on this machine draws
 * it while its server is away. It is outside the ranges from which systems draw the ports of outgoing connections (Linux
 * 32768 to 60999, macOS and Windows from 49152), as those have two traps for a server that goes away and comes back: its
 * port may be drawn meanwhile, and a client that dials it on loopback while nobody listens may draw it itself and be
 * connected to itself.
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
