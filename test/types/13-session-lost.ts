// The server was restarted and has forgotten the session. Three ways to live with that.
import { ConnectionManager, type Link, type UndeliveredMessage } from "resplice";
import { committedPosition, park } from "./support/orders.ts";

const manager = new ConnectionManager({ logger: console });

// 1. The default: the link goes on, what was in flight comes back as "maybe", and we ask before sending it again.
const ledger = manager.open({ host: "ledger", port: 7000 });
ledger.on("undelivered", ({ reason, sessionId, messages }) => void askFirst(reason, sessionId, messages));
async function askFirst(reason: string, sessionId: string, messages: UndeliveredMessage[]): Promise<void> {
  const committed = await committedPosition(sessionId); // the server commits positions with its effects: 08
  const missing = messages.filter(({ position }) => position === undefined || position > committed);
  console.warn(reason, `${messages.length} in doubt, ${missing.length} sent again`);
  for (const { message } of missing) await ledger.send(message);
}

// 2. Sent again before anything newer: at least once, for servers that ignore repeats.
const metrics = manager.open({ host: "metrics", port: 7000, whenSessionLost: "resend" });

// 3. The link ends, and somebody decides.
const trades = manager.open({ host: "trades", port: 7000, whenSessionLost: "end" });
void trades.closed.then(async ({ error, undelivered }) => {
  if (error?.code === "SESSION_LOST") await park(undelivered.map(({ message }) => message));
});

// In every case the server's side of the session is new: what it knew of us must be said again.
for (const link of [ledger, metrics, trades] satisfies Link[]) {
  link.on("state", (change) => {
    if (change.to === "connected" && change.session === "new") link.trySend("SUBSCRIBE prices");
  });
}

process.once("SIGTERM", () => void manager.close({ deadlineMs: 10_000 }));
