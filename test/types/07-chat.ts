// A chat room of 10,000 links: one slow phone neither delays the others nor fills the server's memory.
import { KiB, MiB, type Link, ServerSupervisor } from "resplice";
import { verifyToken } from "./support/auth.ts";

const supervisor = new ServerSupervisor({
  port: 7400,
  limits: { connections: 10_000, bufferBytes: 512 * MiB },
  queue: { maxMessages: 200, maxBytes: 64 * KiB }, // for each link
  maxMessageBytes: 4 * KiB,
  authenticate: ({ credentials }) => verifyToken(String(credentials)),
  logger: console,
});

const strikes = new WeakMap<Link, number>();

function broadcast(line: string): void {
  const bytes = Buffer.from(line);
  for (const link of supervisor.links) {
    if (link.trySend(bytes, { transfer: true })) continue; // one copy for all
    const missed = (strikes.get(link) ?? 0) + 1;
    strikes.set(link, missed);
    if (missed > 1_000) link.abort("too-slow");
  }
}

supervisor.serve((link) => {
  broadcast(`* ${link.identity} joined`);
  link.onMessage((message) => broadcast(`<${link.identity}> ${String(message)}`));
  void link.closed.then(() => broadcast(`* ${link.identity} left`));
});

await supervisor.listen();
process.once("SIGTERM", () => void supervisor.close({ deadlineMs: 20_000 }));
