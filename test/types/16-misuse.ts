// What the types refuse. Each line is a mistake that somebody coming from ws, net, ioredis or Socket.IO will make.
import {
  ConnectionManager,
  lines,
  type Link,
  plain,
  type RespliceError,
  ServerSupervisor,
  srv,
  type StateChange,
} from "resplice";

const manager = new ConnectionManager();
const link: Link = manager.open({ port: 7000 });
// @ts-expect-error onMessage()
link.on("message", () => {});
// @ts-expect-error 'state'
link.on("connect", () => {});
// @ts-expect-error `closed` is a promise
link.on("close", () => {});
// @ts-expect-error durable links have no request(): correlation is absent on purpose
link.request("x");
// @ts-expect-error onMessage() takes one message: there is no callback to acknowledge it
link.onMessage((message, acknowledge: () => void) => acknowledge());
// @ts-expect-error objects are not sent: JSON.stringify()
link.trySend({ type: "hello" });
// @ts-expect-error
void link.send("x", { until: "delivered" });
// @ts-expect-error a durable link's messages are for its session, not for a connection
void link.send("x", { onConnection: 1 });
// @ts-expect-error a server dials nobody
void new ServerSupervisor({ port: 7000, timeouts: { connectMs: 1_000 } });
// @ts-expect-error trySend() does not wait
link.trySend("x", { until: "accepted" });
// @ts-expect-error aborting is a reason of at most 64 bytes, not an error
link.abort(new Error("too slow"));
// @ts-expect-error read only
link.state = "closed";
// @ts-expect-error nowhere to connect to
manager.open({ host: "localhost" });
// @ts-expect-error a port is a number
manager.open({ port: "7000" });
// @ts-expect-error a misspelled option
manager.open({ port: 7000, keepAlive: { pingAfterMs: 1 } });
// @ts-expect-error units are in names
manager.open({ port: 7000, timeouts: { connect: 5 } });
// @ts-expect-error there is no such way to live with it
manager.open({ port: 7000, whenSessionLost: "retry" });
// @ts-expect-error the server's option: a client has credentials
manager.open({ port: 7000, authenticate: () => "me" });
// @ts-expect-error the port is the constructor's
await new ServerSupervisor({ port: 7000 }).listen(7000);
// @ts-expect-error serve()
new ServerSupervisor({ port: 7000 }).on("connection", () => {});
// @ts-expect-error an identity, or null: true would be everybody's
new ServerSupervisor({ port: 7000, authenticate: () => true });
// @ts-expect-error who it is: { identity }, and what else is known of it as claims
new ServerSupervisor({ port: 7000, authenticate: () => ({ user: "me" }) });
// @ts-expect-error a branch without an answer
new ServerSupervisor({ port: 7000, authenticate: ({ credentials }) => (credentials.length > 0 ? "me" : undefined) });
// @ts-expect-error `limits.connections`
new ServerSupervisor({ port: 7000, maxConnections: 10 });
// @ts-expect-error how long a link drains is given to close()
new ServerSupervisor({ port: 7000, closeTimeoutMs: 10 });
// @ts-expect-error a promise is not a boolean
if (link.closed) await manager.close(); // oxlint-disable-line typescript/no-misused-promises

// @ts-expect-error a policy is one of four words
manager.open({ port: 7000, queue: { overflow: "drop" } });
// @ts-expect-error a class has a name
manager.open({ port: 7000, queue: { priorities: ["high", "low"] } });
// @ts-expect-error `{ failAfterMs }`
manager.open({ port: 7000, queue: { whileDisconnected: 5_000 } });
// @ts-expect-error `clear({ olderThanMs })`
link.clear(5_000);
// @ts-expect-error lines() and others say where messages end
plain({});
// @ts-expect-error "answer", "push" or "more"
plain({ framing: lines(), requests: { classify: () => true } });
// @ts-expect-error true or false, at once
plain({ framing: lines(), reconnectWhen: async () => true });
// @ts-expect-error `protocol: plain({ … })`
manager.open({ port: 7000, protocol: "plain" });
// @ts-expect-error a server that is not resplice has no sessions
manager.open({ port: 7000, protocol: plain({ framing: lines() }), whenSessionLost: "resend" });
// @ts-expect-error a plain link has none of a durable link's windows
manager.open({ port: 7000, protocol: plain({ framing: lines() }), window: { minBytes: 1 } });
// @ts-expect-error `endpoints: srv(…)`
manager.open(srv("_resplice._tcp.example.com"));
// @ts-expect-error an address of this machine
manager.open({ port: 7000, socket: { localPort: 7 } });
// @ts-expect-error a function that is called as dns.lookup() is
manager.open({ port: 7000, lookup: "10.0.0.53" });

export function state(change: StateChange): void {
  // @ts-expect-error only where there is a next attempt
  if (change.to === "connected") console.log(change.nextDelayMs);
  // @ts-expect-error there is no such state
  if (change.to === "disconnected") console.log(change.reason);
}

export function failure(error: RespliceError): void {
  // @ts-expect-error the system's code is the cause's
  if (error.code === "ECONNREFUSED") console.log(error.cause);
}
