// A million samples a second: trySend on one side, onMessage on the other, no promise and no object for a message.
import { ConnectionManager, MiB, ServerSupervisor } from "resplice";

async function collector(): Promise<void> {
  const supervisor = new ServerSupervisor({ port: 7200, logger: console });
  supervisor.serve((link) => {
    let sum = 0;
    link.onMessage((sample) => {
      sum += sample.readDoubleLE(8); // valid for as long as it is held; it pins its 64 KiB block
    });
    void link.closed.then(({ error }) => console.log(link.identity, sum, error?.code ?? "bye"));
  });
  supervisor.on("handlerError", ({ link, error }) => console.error(link.id, error));
  await supervisor.listen();
  const { written, suppressed, failed } = supervisor.stats().lines;
  console.log(written + suppressed + failed);
  process.once("SIGTERM", () => void supervisor.close({ deadlineMs: 2_000 }));
}

async function sensor(signal: AbortSignal): Promise<void> {
  await using manager = new ConnectionManager({ logger: console });
  const link = manager.open({
    host: "collector.internal",
    port: 7200,
    queue: { maxMessages: 1_000_000, maxBytes: 64 * MiB },
  });
  const sample = Buffer.alloc(16); // reused: payloads are copied
  let skipped = 0;
  while (!signal.aborted) {
    for (let i = 0; i < 10_000; i++) {
      sample.writeDoubleLE(performance.now(), 0);
      sample.writeDoubleLE(Math.random(), 8);
      if (!link.trySend(sample)) skipped++;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  console.log({ skipped, rttMs: link.stats().rttMs });
}

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
await (process.argv[2] === "collect" ? collector() : sensor(stop.signal));
