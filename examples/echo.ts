// An echo over a link that outlives its connections. In two terminals:
//
//     npm run example -- examples/echo.ts serve 7000
//     npm run example -- examples/echo.ts 7000        and type; then break the path between them, and type on
import { createInterface } from "node:readline";
import { closeOnSignal, ConnectionManager, RespliceError, ServerSupervisor } from "resplice";

const [first, second] = process.argv.slice(2);
await (first === "serve" ? serve(Number(second ?? 0)) : talk(Number(first ?? 7000)));

async function serve(at: number): Promise<void> {
  const supervisor = new ServerSupervisor({ port: at });
  supervisor.serve(async (link) => {
    for await (const message of link) await link.send(message);
  });
  const { port } = await supervisor.listen();
  console.log(`listening on ${port}`);
  closeOnSignal(supervisor);
}

async function talk(port: number): Promise<void> {
  const manager = new ConnectionManager();
  const link = manager.open({ port });
  link.on("state", ({ to, reason }) => console.error(`${to}: ${reason}`));
  try {
    for await (const line of createInterface({ input: process.stdin })) {
      await link.send(line); // the link has taken it: it arrives once, whatever happens to the connection
      console.log(String(await link.receive()));
    }
  } catch (error) {
    console.error(error instanceof RespliceError ? `${error.code}: ${error.message}` : error);
    process.exitCode = 1;
  }
  const { undelivered } = await manager.close();
  if (undelivered.length > 0) process.exitCode = 1;
}
