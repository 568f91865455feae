/**
 * Servers on some addresses of one host, and a link to a name that has those and others. Each state of the link is a line;
 * a line on stdin is sent as a message.
 */
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import { createInterface } from "node:readline";
import { ConnectionManager, ServerSupervisor } from "../../../src/index.ts";

export interface Addresses {
  listening: string[];
  found: string[];
}
/** A line of the program's. */
export interface Become {
  to: string;
  atMs: number;
  reason: string;
  session?: "new" | "resumed";
  address: string | undefined;
}

const PORT = 7_000;
const { listening, found } = JSON.parse(process.argv[2] ?? "") as Addresses;
for (const host of listening) {
  const supervisor = new ServerSupervisor({ host, port: PORT });
  supervisor.serve((link) => link.onMessage(() => {}));
  await supervisor.listen();
}
const lookup: LookupFunction = (_, __, answer) =>
  answer(
    null,
    found.map((address) => ({ address, family: isIP(address) })),
  );
const startedMs = performance.now();
const link = new ConnectionManager().open({ port: PORT, host: "many.example", lookup });
link.on("state", ({ to, reason, ...others }) => {
  const session = "session" in others ? { session: others.session } : {};
  const line: Become = { to, reason, ...session, atMs: performance.now() - startedMs, address: link.remoteAddress };
  console.log(JSON.stringify(line));
});
createInterface({ input: process.stdin }).on("line", (line) => void link.trySend(line));
