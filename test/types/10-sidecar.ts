// A sidecar: any TCP client keeps its connection through a cut. The open payload says where the far end must connect.
import net from "node:net";
import type { Duplex } from "node:stream";
import { finished } from "node:stream/promises";
import { ConnectionManager, ServerSupervisor } from "resplice";

const ALLOWED = new Set(["db.internal:5432", "cache.internal:6379"]);

async function nearEnd(target: string): Promise<void> {
  const manager = new ConnectionManager({ logger: console });
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const link = manager.open({
      host: "far.example",
      port: 7700,
      tls: true,
      mode: "bytes",
      allowHalfOpen: true,
      openPayload: target,
    });
    void join(socket, link.duplex());
  });
  server.listen(5432, "127.0.0.1");
  process.once("SIGTERM", () => {
    server.close();
    void manager.close({ deadlineMs: 10_000 });
  });
}

async function farEnd(): Promise<void> {
  const supervisor = new ServerSupervisor({ port: 7700, mode: "bytes", allowHalfOpen: true, logger: console });
  supervisor.serve(async (link) => {
    const target = String(link.openPayload);
    if (!ALLOWED.has(target)) return link.abort("not-allowed");
    const [host, port] = target.split(":");
    await join(net.connect({ host: host!, port: Number(port), allowHalfOpen: true }), link.duplex());
  });
  await supervisor.listen();
  process.once("SIGTERM", () => void supervisor.close({ deadlineMs: 10_000 }));
}

async function join(socket: net.Socket, stream: Duplex): Promise<void> {
  socket.pipe(stream).pipe(socket);
  await Promise.all([finished(socket), finished(stream)]).catch((error: Error) => {
    console.warn(error.message);
    socket.resetAndDestroy();
    stream.destroy();
  });
}

await (process.argv[2] === "far" ? farEnd() : nearEnd(process.argv[2] ?? "db.internal:5432"));
