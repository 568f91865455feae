// An HTTP server of your own, supervised: limits, health, and a shutdown that loses no request.
//
//     npm run example -- examples/http.ts 8080
//     curl localhost:8080/healthz; kill -TERM the process while requests are under way
import http from "node:http";
import type { AddressInfo } from "node:net";
import { supervise } from "resplice";

const server = http.createServer((request, response) => {
  if (request.url === "/healthz") {
    const health = supervised.health();
    response.writeHead(health.status === "down" ? 503 : 200).end(JSON.stringify(health));
  } else {
    // An answer that takes its time.
    setTimeout(() => response.end(`hello ${request.url}\n`), 50);
  }
});

const supervised = supervise(server, { limits: { connections: 5_000, connectionsPerAddress: 100 } });

server.listen(Number(process.argv[2] ?? 8080), () => {
  console.log(`listening on ${(server.address() as AddressInfo).port}`);
});

process.once("SIGTERM", () => void close());

async function close(): Promise<void> {
  // In Kubernetes with readyDelayMs: 5_000, until the service knows that this pod goes away.
  const { left, ms } = await supervised.close({ deadlineMs: 25_000 });
  console.log(`closed in ${ms} ms, ${left} left`);
  process.exitCode = left === 0 ? 0 : 1;
}
