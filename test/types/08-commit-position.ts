// Effects exactly once: the position is committed in the transaction of the effects, in batches of up to 500.
import { DatabaseSync } from "node:sqlite";
import { MiB, ServerSupervisor } from "resplice";

const db = new DatabaseSync("payments.db");
db.exec(`create table if not exists payments (body text);
  create table if not exists progress (session text primary key, position integer)`);
const read = db.prepare("select position from progress where session = ?");
const insert = db.prepare("insert into payments values (?)");
const progress = db.prepare(
  "insert into progress values (?, ?) on conflict do update set position = excluded.position",
);

const supervisor = new ServerSupervisor({
  port: 7500,
  manualAcceptance: { maxBatchBytes: 4 * MiB },
  logger: console,
});

supervisor.serve(async (link) => {
  const committed = Number(read.get(link.sessionId)?.["position"] ?? 0);
  link.accept(committed); // what an earlier consumer committed is not handed out again
  let batch: Buffer[] = [];
  let accepted = committed;
  for await (const payment of link) {
    batch.push(payment);
    // More is here already, and there is room for it.
    if (batch.length < 500 && link.readableLength > 0 && link.position - accepted < 4 * MiB) continue;
    db.exec("begin immediate");
    for (const body of batch) insert.run(String(body));
    progress.run(link.sessionId, link.position);
    db.exec("commit"); // throwing here ends this link with HANDLER_FAILED; the sender keeps the batch
    accepted = link.position;
    link.accept(accepted);
    batch = [];
  }
});

await supervisor.listen();
process.once("SIGTERM", () => void shutDown());
async function shutDown(): Promise<void> {
  await supervisor.close();
  db.close();
}
