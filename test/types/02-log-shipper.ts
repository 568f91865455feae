// `tail -F app.log | node 02-log-shipper.js`: no line is lost; it exits when its input ends.
import { appendFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { ConnectionManager } from "resplice";
import { pino } from "pino";

const manager = new ConnectionManager({ logger: pino() });
const link = manager.open({
  host: "logs.internal",
  port: 7100,
  whenSessionLost: "resend", // the collector drops repeated line ids: twice is better than never
});

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

try {
  for await (const line of createInterface({ input: process.stdin, signal: stop.signal })) {
    await link.send(line, { signal: stop.signal }); // waits while the queue is full: tail waits too
  }
} catch (error) {
  if (!stop.signal.aborted) throw error;
} finally {
  const { undelivered, error } = await link.close({ deadlineMs: 60_000 });
  if (undelivered.length > 0) {
    await appendFile("unshipped.log", undelivered.map(({ message }) => `${String(message)}\n`).join(""));
    console.error(`${undelivered.length} lines kept in unshipped.log`, error?.code);
    process.exitCode = 1;
  }
}
