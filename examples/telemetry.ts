// The hot paths: trySend() on one side, onMessage() on the other, no promise and no object of ours for a message.
//
//     npm run example -- examples/telemetry.ts collect 7200
//     npm run example -- examples/telemetry.ts sense 7200        until Ctrl-C
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, MiB, ServerSupervisor } from "resplice";

const [role, port = "7200"] = process.argv.slice(2);
await (role === "collect" ? collect(Number(port)) : sense(Number(port)));

async function collect(at: number): Promise<void> {
  const supervisor = new ServerSupervisor({ port: at });
  supervisor.serve((link) => {
    let samples = 0;
    let sum = 0;
    link.onMessage((sample) => {
      samples++;
      sum += sample.readDoubleLE(8); // the message may be kept, but pins up to 64 KiB
    });
    void link.closed.then(({ error }) => console.log(`collected ${samples}, sum ${sum}, ${error?.code ?? "bye"}`));
  });
  const { port: listening } = await supervisor.listen();
  console.log(`listening on ${listening}`);
  process.once("SIGTERM", () => void supervisor.close({ deadlineMs: 2_000 }));
}

async function sense(to: number): Promise<void> {
  const manager = new ConnectionManager();
  const link = manager.open({ port: to, queue: { maxMessages: 1_000_000, maxBytes: 64 * MiB } });
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  link.on("state", ({ to: state, reason }) => console.error(`${state}: ${reason}`));
  await link.connected();
  const sample = Buffer.alloc(16); // used again and again: payloads are copied
  let sent = 0;
  let skipped = 0;
  while (!stop.signal.aborted) {
    for (let i = 0; i < 10_000; i++) {
      sample.writeDoubleLE(performance.now(), 0);
      sample.writeDoubleLE(Math.random(), 8);
      if (link.trySend(sample)) sent++;
      else skipped++;
    }
    await sleep(10);
  }
  await manager.close({ deadlineMs: 60_000 });
  console.log(`sent ${sent}, skipped ${skipped}`);
}
