// The short form of it all.
import { ConnectionManager, ServerSupervisor } from "resplice";
const logger = console;

const supervisor = new ServerSupervisor({ port: 7000, limits: { connections: 10_000 } });
supervisor.serve(async (link) => {
  for await (const message of link) await link.send(message); // once, in order, both ways
});
await supervisor.listen();

const manager = new ConnectionManager({ logger });
const link = manager.open({ port: 7000 });
await link.send("pull the cable now"); // the link has taken it: from here on it is resplice's duty
console.log(String(await link.receive()));
await link.flush(); // the peer's application has accepted everything sent so far
const { undelivered } = await link.close(); // drains, closes, says what it could not deliver
console.log(undelivered.length);
