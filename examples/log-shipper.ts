// Ships the lines of its input to a collector; none is lost, though the collector be restarted. It ends with its input.
//
//     npm run example -- examples/log-shipper.ts collect 7100
//     tail -F app.log | npm run --silent example -- examples/log-shipper.ts ship 7100
import { appendFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { ConnectionManager, ServerSupervisor } from "resplice";

const [role, port = "7100"] = process.argv.slice(2);
await (role === "collect" ? collect(Number(port)) : ship(Number(port)));

async function collect(at: number): Promise<void> {
  const supervisor = new ServerSupervisor({ port: at });
  supervisor.serve(async (link) => {
    for await (const line of link) await print(`${String(line)}\n`); // written, then accepted
  });
  const { port: listening } = await supervisor.listen();
  console.error(`listening on ${listening}`);
  process.once("SIGTERM", () => void supervisor.close());
}

/** When the pipe is full, Node keeps what is written in memory: only the callback tells that it has left the process. */
function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

async function ship(to: number): Promise<void> {
  const manager = new ConnectionManager();
  // A collector that was restarted cannot say which lines in flight it has written: twice is better than never.
  const link = manager.open({ port: to, whenSessionLost: "resend" });
  const stop = new AbortController();
  process.once("SIGTERM", () => stop.abort());
  try {
    for await (const line of createInterface({ input: process.stdin, signal: stop.signal })) {
      await link.send(line, { signal: stop.signal }); // waits while the queue is full: the input waits too
    }
    await link.flush({ signal: stop.signal }); // a link that is closing opens no other session: not before all is there
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    const { undelivered, error } = await link.close({ deadlineMs: 60_000 });
    if (undelivered.length > 0) {
      await appendFile("unshipped.log", undelivered.map(({ message }) => `${String(message)}\n`).join(""));
      console.error(`${undelivered.length} lines kept in unshipped.log`, error?.code);
      process.exitCode = 1;
    }
    await manager.close();
  }
}
