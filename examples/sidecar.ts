// A tunnel for clients and servers that know nothing of resplice: their connection lives through a cut of the path between
// the two ends. The open payload says where the far end is to connect. Across a network, give both ends `tls`.
//
//     npm run example -- examples/sidecar.ts far 7700 localhost:5432
//     npm run example -- examples/sidecar.ts near 5433 7700 localhost:5432        then connect to port 5433
import net from "node:net";
import type { Duplex } from "node:stream";
import { finished } from "node:stream/promises";
import { ConnectionManager, ServerSupervisor } from "resplice";

const [role, port = "7700", ...rest] = process.argv.slice(2);
await (role === "far" ? farEnd(Number(port), new Set(rest)) : nearEnd(Number(port), Number(rest[0]), rest[1] ?? ""));

async function nearEnd(at: number, far: number, target: string): Promise<void> {
  const manager = new ConnectionManager();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const link = manager.open({ port: far, mode: "bytes", allowHalfOpen: true, openPayload: target });
    void join(socket, link.duplex());
  });
  server.listen(at, "127.0.0.1", () => console.log(`listening on ${(server.address() as net.AddressInfo).port}`));
  process.once("SIGTERM", () => {
    server.close();
    void manager.close({ deadlineMs: 10_000 });
  });
}

async function farEnd(at: number, allowed: ReadonlySet<string>): Promise<void> {
  const supervisor = new ServerSupervisor({ port: at, mode: "bytes", allowHalfOpen: true });
  supervisor.serve(async (link) => {
    const target = String(link.openPayload);
    if (!allowed.has(target)) return link.abort("not-allowed"); // a reset for who has connected
    const { hostname, port: targetPort } = new URL(`tcp://${target}`);
    const socket = net.connect({ host: hostname, port: Number(targetPort), allowHalfOpen: true });
    return join(socket, link.duplex());
  });
  const { port: listening } = await supervisor.listen();
  console.log(`listening on ${listening}`);
  process.once("SIGTERM", () => void supervisor.close({ deadlineMs: 10_000 }));
}

/**
 * Until both directions have ended. A failure of one side is one of the other, too: to a socket it is a reset, as a mere end
 * would pass what came before it for the whole.
 */
async function join(socket: net.Socket, stream: Duplex): Promise<void> {
  // Not pipeline(): it destroys a socket, which to its peer is an end like any other.
  socket.pipe(stream).pipe(socket);
  try {
    await Promise.all([finished(socket), finished(stream)]);
  } catch (error) {
    console.error((error as Error).message);
    socket.resetAndDestroy();
    stream.destroy();
  }
}
