// A server that is restarted has forgotten its sessions. Three ways to live with that; kill the server while this runs:
//
//     npm run example -- examples/session-lost.ts serve 7800      takes messages, and never comes to an end with them
//     npm run example -- examples/session-lost.ts 7800
//     npm run example -- examples/session-lost.ts serve 7800      once more: shows what reaches it
import { ConnectionManager, ServerSupervisor } from "resplice";

const [first, second] = process.argv.slice(2);
await (first === "serve" ? serve(Number(second ?? 0)) : live(Number(first ?? 7800)));

async function serve(at: number): Promise<void> {
  const supervisor = new ServerSupervisor({ port: at });
  supervisor.serve((link) => {
    link.onMessage((message) => {
      console.log(`${String(link.openPayload)}: ${String(message)}`);
      return new Promise(() => {}); // at work on it for ever: not accepted
    });
  });
  const { port } = await supervisor.listen();
  console.log(`listening on ${port}`);
}

async function live(port: number): Promise<void> {
  const manager = new ConnectionManager();

  // 1. The default. The link goes on; what was in flight comes back, for the application to decide.
  const ledger = manager.open({ port, openPayload: "ledger" });
  ledger.on("undelivered", ({ reason, messages }) => {
    console.log(
      `ledger: ${reason}: ${messages.map(({ message, delivery }) => `${String(message)} ${delivery}`).join(", ")}`,
    );
  });

  // 2. Sent again before anything newer: for servers that do not mind to see a message twice.
  const metrics = manager.open({ port, openPayload: "metrics", whenSessionLost: "resend" });

  // 3. The link ends.
  const trades = manager.open({ port, openPayload: "trades", whenSessionLost: "end" });
  void trades.closed.then(({ error, undelivered }) => {
    console.log(`trades: ${error?.code}: ${undelivered.map(({ message }) => String(message)).join(", ")}`);
  });

  for (const link of [ledger, metrics, trades]) {
    // The server's side of a new session is new as well: what it knew of us must be said again.
    link.on("state", (change) => {
      if (change.to !== "connected" || change.session !== "new") return;
      console.log(`${String(link.openPayload)}: a new session`);
      link.trySend("hello");
    });
  }
  await manager.connected();
  for (const link of [ledger, metrics, trades]) link.trySend("important");
  process.once("SIGTERM", () => void manager.close({ deadlineMs: 0 }));
}
