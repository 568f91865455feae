/** A process with nothing but a monitor, and a connection that somebody else holds to it: it ends by itself. */
import { ConnectionManager, monitor } from "../../src/index.ts";

const watched = monitor({ port: 0, sources: [new ConnectionManager()] });
const { port } = await watched.listening();
console.log(`listening on ${port}`);
// Until the other end has connected.
process.stdin.once("data", () => process.stdin.destroy());
