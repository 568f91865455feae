// Links through an HTTP ingress: what carries them is a WebSocket. The links live on when the WebSocket is cut.
//
//     npm run example -- examples/websocket.ts serve 8080
//     npm run example -- examples/websocket.ts ws://localhost:8080/links        and type; then restart the ingress, and type on
import { createServer, type IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { ConnectionManager, RespliceError, ServerSupervisor } from "resplice";
import { createWebSocketStream, WebSocket, WebSocketServer } from "ws";

const PATH = "/links";
const [first = "serve", second] = process.argv.slice(2);
await (first === "serve" ? serve(Number(second ?? 0)) : talk(first));

/**
 * The client's address. Each proxy appends the address that it was connected from: the last one is of your own ingress,
 * and those before it may be the client's invention. Behind two proxies of your own take the last but one. Without an
 * ingress ignore the header: then all of it is the client's.
 */
function clientOf({ headers, socket }: IncomingMessage): string {
  const header = headers["x-forwarded-for"];
  const last = header === undefined ? socket.remoteAddress : String(header).split(",").at(-1);
  return (last ?? "").trim().slice(0, 64);
}

async function serve(at: number): Promise<void> {
  // Without a port: the HTTP server listens, and its connections are handed over.
  const supervisor = new ServerSupervisor({});
  supervisor.serve(async (link) => {
    console.log(`a link of ${link.remoteAddress}`);
    for await (const message of link) await link.send(message);
  });
  const http = createServer((_, response) => {
    // For the ingress: no new clients while it is "down". A server that drains is down as well, but clients whose
    // WebSocket is cut still come back and finish: let the ingress send those here until the process ends, as no other
    // server knows their sessions.
    const { status, reasons } = supervisor.health();
    response.writeHead(status === "down" ? 503 : 200).end(JSON.stringify({ status, reasons }));
  });
  // Compression would only cost: a link's frames are small, or your own bytes.
  const sockets = new WebSocketServer({ server: http, path: PATH, perMessageDeflate: false });
  sockets.on("connection", (socket, request) => {
    try {
      supervisor.accept(createWebSocketStream(socket), { remoteAddress: clientOf(request) });
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
