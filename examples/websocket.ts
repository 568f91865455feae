// Links through an HTTP ingress: what carries them is a WebSocket. The links live on when the WebSocket is cut.
//
//     npm run example -- examples/websocket.ts serve 8080
//     npm run example -- examples/websocket.ts ws://localhost:8080/links        and type; then restart the ingress, and type on
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { ConnectionManager, RespliceError, ServerSupervisor } from "resplice";
import { createWebSocketStream, WebSocket, WebSocketServer } from "ws";

const PATH = "/links";
const [first = "serve", second] = process.argv.slice(2);
await (first === "serve" ? serve(Number(second ?? 0)) : talk(first));

async function serve(at: number): Promise<void> {
  // Without a port: the HTTP server listens, and its connections are handed over.
  const supervisor = new ServerSupervisor({});
  supervisor.serve(async (link) => {
    for await (const message of link) await link.send(message);
  });
  const http = createServer((_, response) => {
    const { status, reasons } = supervisor.health(); // for the ingress: no new WebSockets while it is down
    response.writeHead(status === "down" ? 503 : 200).end(JSON.stringify({ status, reasons }));
  });
  // Compression would only cost: a link's frames are small, or your own bytes.
  const sockets = new WebSocketServer({ server: http, path: PATH, perMessageDeflate: false });
  sockets.on("connection", (socket, request) => {
    // Trust such a header only from your own ingress.
    const [client] = String(request.headers["x-forwarded-for"] ?? request.socket.remoteAddress).split(",");
    try {
      supervisor.accept(createWebSocketStream(socket), { remoteAddress: (client ?? "").slice(0, 64) });
    } catch (error) {
      socket.terminate(); // it was closed meanwhile
      console.error(error);
    }
  });
  http.listen(at, () => console.log(`listening on ${(http.address() as { port: number }).port}`));
  process.once("SIGTERM", () => {
    // The links move to another server behind the ingress, or end.
    void supervisor.close().then(() => {
      http.close();
      http.closeAllConnections();
    });
  });
}

async function talk(url: string): Promise<void> {
  const manager = new ConnectionManager();
  // Called for each attempt. The link speaks for itself, so it needs no answer to the upgrade before it begins.
  const link = manager.open({ connect: () => createWebSocketStream(new WebSocket(url, { perMessageDeflate: false })) });
  link.on("state", ({ to, reason }) => console.error(`${to}: ${reason}`));
  try {
    for await (const line of createInterface({ input: process.stdin })) {
      await link.send(line);
      console.log(String(await link.receive()));
    }
  } catch (error) {
    console.error(error instanceof RespliceError ? `${error.code}: ${error.message}` : error);
    process.exitCode = 1;
  }
  const { undelivered } = await manager.close();
  if (undelivered.length > 0) process.exitCode = 1;
}
