// A mail relay that is no resplice server, found by SRV records: a login with STARTTLS, requests, a probe, and a report.
import { lookup } from "node:dns";
import {
  type ConnectionManager,
  lines,
  type LoginConnection,
  type Message,
  plain,
  type PlainLink,
  type PlainProtocol,
  RespliceError,
  srv,
  type Undelivered,
} from "resplice";

async function logIn(connection: LoginConnection): Promise<void> {
  await expectCode(connection, "220");
  await say(connection, "STARTTLS", "220");
  await connection.startTls({ minVersion: "TLSv1.2" }); // its name is that of the endpoint
  await say(connection, `AUTH PLAIN ${process.env["SMTP_TOKEN"] ?? ""}`, "235");
  connection.signal.throwIfAborted();
}

async function say(connection: LoginConnection, command: string, code: string): Promise<void> {
  connection.send(command);
  await expectCode(connection, code);
}

async function expectCode(connection: LoginConnection, code: string): Promise<void> {
  const answer: Message = await connection.receive();
  if (String(answer).startsWith(code)) return;
  // 421: too many connections, which is over in a while. A wrong password is not.
  throw new RespliceError("LOGIN_REFUSED", String(answer), { retryable: String(answer).startsWith("421") });
}

const SMTP: PlainProtocol = plain({
  framing: lines({ ending: "\r\n" }),
  login: logIn,
  requests: {
    classify: (message) => (message[3] === 0x2d ? "more" : "answer"), // "250-"
    maxInFlight: 1,
  },
  probe: { message: "NOOP" },
  reconnectWhen: (message) => String(message).startsWith("421"),
  idleCloseMs: 60_000,
  maxConnectionAgeMs: 3_600_000,
});

export function relay(manager: ConnectionManager): PlainLink {
  const link = manager.open({
    endpoints: srv("_submission._tcp.example.com", { servers: ["10.0.0.53"] }),
    endpointOrder: "round-robin",
    lookup,
    socket: { localAddress: "10.0.0.7", keepAlive: 60_000, noDelay: true },
    protocol: SMTP,
    timeouts: { answerMs: 60_000, writeStallMs: 30_000 },
    keepalive: { pingAfterMs: 30_000, deadAfterMs: 20_000 },
    windowBytes: 65_536,
  });
  link.on("undelivered", ({ reason, messages, untracked }: Undelivered) => {
    console.warn(reason, messages.length, untracked?.messages ?? 0);
  });
  link.on("state", (change) => {
    if (change.to === "idle") console.log("nothing to send", change.reason);
  });
  return link;
}

export async function extensions(link: PlainLink, signal: AbortSignal): Promise<string[]> {
  const parts: Message[] = await link.requestParts("EHLO client.example.com", { signal });
  return parts.map(String);
}

/** Steps that mean something on one connection alone. */
export async function transaction(link: PlainLink, steps: string[]): Promise<void> {
  await link.request("BEGIN");
  const onConnection: number | undefined = link.connection;
  for (const step of steps) await link.request(step, { onConnection });
  await link.send("COMMIT", { onConnection, until: "accepted" });
  link.trySend("LOG", { onConnection });
}

export async function reset(link: PlainLink): Promise<boolean> {
  try {
    return String(await link.request("RSET")).startsWith("250");
  } catch (error) {
    if (error instanceof RespliceError && error.delivery === "maybe") return false;
    throw error;
  }
}
