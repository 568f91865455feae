// A line protocol served, with a login, and streams of a WebSocket server accepted beside the listener.
import type { Duplex } from "node:stream";
import { lines, plain, type PlainLink, type PlainServerOptions, RespliceError, ServerSupervisor } from "resplice";

const protocol = plain({
  framing: lines(),
  requests: { classify: (message) => (message[0] === 33 ? "answer" : "push") },
  async login(connection) {
    if (connection.remoteAddress === "203.0.113.9") throw new RespliceError("LOGIN_REFUSED", "not from there");
    connection.send("password?");
    const password: string = String(await connection.receive());
    if (password !== "secret") throw new RespliceError("LOGIN_REFUSED", "a wrong password");
  },
});

export const supervisor = new ServerSupervisor({ port: 4000, protocol, limits: { connectionsPerAddress: 10 } });
supervisor.serve(async (link) => {
  const name = String(await link.request("who are you?"));
  for await (const message of link) await link.send(`${name} said ${String(message)}`);
});
for (const link of supervisor.links) link.trySend("a broadcast");

export function ingress(stream: Duplex, address: string): void {
  supervisor.accept(stream, { remoteAddress: address });
}

// A server of resplice clients has links that cannot ask.
export const durable = new ServerSupervisor({ port: 4001 });
durable.serve((link) => {
  // @ts-expect-error only a plain link has request()
  void link.request("who are you?");
});

export const anywhere: ServerSupervisor = new ServerSupervisor({});
anywhere.serve((link) => link.onMessage(() => {}));

// @ts-expect-error an option of durable links
void new ServerSupervisor({ port: 4000, protocol, resumeForMs: 1_000 });
// @ts-expect-error misspelled
void new ServerSupervisor({ port: 4000, protocol, limits: { connectionsPerAdress: 1 } });
// @ts-expect-error a limit of sessions
void new ServerSupervisor({ port: 4000, protocol, limits: { sessions: 1 } });

const options: PlainServerOptions = { path: "/run/line.sock", protocol };
export const onPath = new ServerSupervisor(options);
onPath.serve((link: PlainLink) => link.send("hello"));
await Promise.all([supervisor.close(), durable.close(), anywhere.close(), onPath.close({ deadlineMs: 0 })]);
