// A service in Kubernetes with links to both sides: readiness, and a SIGTERM that loses nothing.
import http from "node:http";
import { ConnectionManager, ServerSupervisor } from "resplice";
import { pino } from "pino";

const logger = pino();
const manager = new ConnectionManager({ logger });
const supervisor = new ServerSupervisor({ port: 7800, logger, limits: { connections: 2_000 } });
const billing = manager.open({ host: "billing", port: 7801 });

supervisor.serve(async (link) => {
  for await (const message of link) await billing.send(message, { until: "accepted" });
});

const probes = http.createServer((request, response) => {
  const reports = [manager.health(), supervisor.health()];
  const ready = reports.every(({ status }) => status !== "down");
  response.writeHead(request.url === "/readyz" && !ready ? 503 : 200);
  response.end(JSON.stringify({ reports, links: manager.stats().links, clients: supervisor.stats().links }));
});

await manager.connected({ signal: AbortSignal.timeout(30_000) });
await supervisor.listen();
probes.listen(8080);

process.once("SIGTERM", () => void shutDown());
async function shutDown(): Promise<void> {
  // What clients have sent is accepted first, and billing last.
  const server = await supervisor.close({ deadlineMs: 20_000 });
  const client = await manager.close({ deadlineMs: 5_000 });
  logger.info({ unfinished: server.undelivered.length + client.undelivered.length }, "closed");
  probes.close();
}
