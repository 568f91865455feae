// Effects exactly once, though the server is killed. It commits a link's position in the transaction of the effects; a
// client that has lost its session asks how far that went, and sends again only what is above.
//
//     npm run example -- examples/payments.ts serve 7500 payments.db
//     npm run example -- examples/payments.ts pay 7500 100000
import { DatabaseSync } from "node:sqlite";
import {
  closeOnSignal,
  ConnectionManager,
  MiB,
  RespliceError,
  ServerSupervisor,
  type UndeliveredMessage,
} from "resplice";

const MAX_BATCH_BYTES = 4 * MiB;

const [role, port = "7500", argument] = process.argv.slice(2);
await (role === "serve" ? serve(Number(port), argument ?? "payments.db") : pay(Number(port), Number(argument ?? 1)));

async function serve(at: number, path: string): Promise<void> {
  const db = new DatabaseSync(path);
  db.exec(`create table if not exists payments (body text);
    create table if not exists progress (session text primary key, position integer)`);
  const insert = db.prepare("insert into payments values (?)");
  const read = db.prepare("select position from progress where session = ?");
  const write = db.prepare("insert into progress values (?, ?) on conflict do update set position = excluded.position");

  const supervisor = new ServerSupervisor({ port: at, manualAcceptance: { maxBatchBytes: MAX_BATCH_BYTES } });
  supervisor.serve(async (link) => {
    if (link.openPayload.length > 0) {
      // Somebody asks how far a session went that has ended.
      await link.send(String(read.get(String(link.openPayload))?.["position"] ?? 0));
      return;
    }
    let batch: Buffer[] = [];
    let committed = 0;
    for await (const payment of link) {
      batch.push(payment);
      // More is here already, and there is room for it: one transaction for all of it.
      if (batch.length < 500 && link.readableLength > 0 && link.position - committed < MAX_BATCH_BYTES) continue;
      db.exec("begin immediate");
      for (const body of batch) insert.run(String(body));
      write.run(link.sessionId, link.position);
      db.exec("commit"); // a throw here ends this link with HANDLER_FAILED, and its client asks
      committed = link.position;
      link.accept(committed);
      console.log(`committed ${batch.length}`);
      batch = [];
    }
  });
  const { port: listening } = await supervisor.listen();
  console.log(`listening on ${listening}`);
  closeOnSignal([supervisor, { close: async () => db.close() }]);
}

async function pay(to: number, payments: number): Promise<void> {
  const manager = new ConnectionManager();
  const link = manager.open({ port: to });
  let recovered = Promise.resolve();
  link.on("undelivered", ({ sessionId, messages }) => {
    recovered = recovered.then(() => sendMissing(sessionId, messages));
  });

  async function sendMissing(sessionId: string, messages: readonly UndeliveredMessage[]): Promise<void> {
    const desk = manager.open({ port: to, openPayload: sessionId });
    const committed = Number(await desk.receive());
    await desk.close();
    const missing = messages.filter(({ position }) => position === undefined || position > committed);
    console.log(`${messages.length} in doubt, ${missing.length} sent again`);
    for (const { message } of missing) await link.send(message);
  }

  for (let n = 1; n <= payments; n++) await link.send(`payment ${n}`);
  for (let accepted = false; !accepted;) {
    await recovered;
    try {
      await link.flush();
      accepted = true;
    } catch (error) {
      if (!(error instanceof RespliceError) || error.code !== "SESSION_LOST") throw error;
    }
  }
  await manager.close();
  console.log(`paid ${payments}`);
}
