/** A worker of `primary.ts`: answers with the id of its process. Ends in order when it is told to. */
import { ServerSupervisor } from "../../../src/index.ts";

const supervisor = new ServerSupervisor({ port: 0, routed: true });
supervisor.serve(async (link) => {
  for await (const message of link) await link.send(`${process.pid} ${String(message)}`);
});
const { port } = await supervisor.listen();
process.send?.({ listening: port });
process.on("message", (message) => {
  if (message !== "close") return;
  void supervisor.close({ deadlineMs: 10_000 }).then(({ left }) => process.exit(left === 0 ? 0 : 1));
});
