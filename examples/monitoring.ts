// A server with probes for Kubernetes and metrics for Prometheus, and a SIGTERM that loses nothing:
//
//     npm run example -- examples/monitoring.ts 7000 9400
//     curl localhost:9400/readyz; curl localhost:9400/metrics
//
// In a container give the monitor `host: "0.0.0.0"`: a kubelet does not come by loopback. /metrics needs prom-client.
import { subscribe } from "node:diagnostics_channel";
import { monitor, ServerSupervisor } from "resplice";

const [port, monitorPort] = process.argv.slice(2).map(Number);
const supervisor = new ServerSupervisor({ port: port ?? 7000 });
supervisor.serve(async (link) => {
  for await (const message of link) await link.send(message);
});

// Any number of managers and supervisors. The monitor closes by itself, after the last of them.
const watched = monitor({ port: monitorPort ?? 9400, sources: { echo: supervisor } });
watched.on("listenError", ({ error, nextTryMs }) => console.error(`${error.message}; again in ${nextTryMs} ms`));
watched.on("listening", (address) => console.log(`monitor on ${address.port}`));

// What happens, for a tracer: the fields of the log line.
subscribe("resplice:link.state", (change) => {
  const { link, to, reason } = change as { link: string; to: string; reason: string };
  console.error(`${link} ${to}: ${reason}`);
});

const { port: listening } = await supervisor.listen();
console.log(`listening on ${listening}`);

// From now on /readyz is 503, and nobody new is sent here. Links end in order, and the process with them.
process.once("SIGTERM", () => void supervisor.close({ deadlineMs: 20_000 }));
