// Sends mails over one SMTP connection, under TLS. A mail is handed over once: when the connection is lost after its text
// was sent, the server may have it or not. Nobody can know, so that is "maybe", and the caller decides. SMTP_USER=... and
// SMTP_PASSWORD=... if the server wants a login. Each line of the input is the text of one mail:
//
//     npm run example -- examples/smtp.ts mail.example.com 587 me@example.com you@example.com
import { hostname } from "node:os";
import { createInterface } from "node:readline";
import {
  ConnectionManager,
  type Framing,
  lines,
  type LoginConnection,
  type Message,
  MiB,
  plain,
  type PlainLink,
  RespliceError,
} from "resplice";

export interface SmtpOptions {
  host: string;
  port: number;
  user: string | undefined;
  /** undefined: the server wants no login. */
  password: string | undefined;
}

export interface Mail {
  from: string;
  to: readonly string[];
  /** Header, an empty line, body. */
  text: string;
}

export interface Outcome {
  /** "refused": never send it again. "later": the server does not have it, send it again. "maybe": it may have it. */
  what: "accepted" | "refused" | "later" | "maybe";
  /** The server's words, or ours. */
  why: string;
}

const MOST_MAIL_BYTES = 32 * MiB;

/** Answers are lines. What is sent goes out as it is: a command is one line, a mail has many. */
const framing: Framing = { name: "smtp", encode: (message) => message, decoder: (limits) => lines().decoder(limits) };

export function openSmtp(manager: ConnectionManager, options: SmtpOptions): PlainLink {
  return manager.open({
    host: options.host,
    port: options.port,
    maxMessageBytes: MOST_MAIL_BYTES,
    timeouts: { handshakeMs: 15_000, answerMs: 300_000 }, // some servers let everybody wait for their greeting
    protocol: plain({
      framing,
      login: (connection) => logIn(connection, options),
      requests: { classify: (line) => (isLast(line) ? "answer" : "more") },
      reconnectWhen: (line) => String(line).startsWith("421"), // the server closes the connection
      idleCloseMs: 30_000, // before the server does: what is sent while it closes is lost
    }),
  });
}

async function logIn(connection: LoginConnection, { user, password }: SmtpOptions): Promise<void> {
  await answer(connection); // its greeting
  const offers = await ask(connection, `EHLO ${hostname()}`);
  // Never without TLS: who can change what we read can also take the offer out of it.
  if (!offers.some((line) => /^250.STARTTLS$/iu.test(line))) throw new Error("the server offers no STARTTLS");
  await ask(connection, "STARTTLS");
  await connection.startTls();
  await ask(connection, `EHLO ${hostname()}`); // what was said without TLS does not count
  if (password !== undefined) {
    await ask(connection, `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString("base64")}`);
  }
}

function ask(connection: LoginConnection, text: string): Promise<string[]> {
  connection.send(command(text));
  return answer(connection);
}

/** Of "250-SIZE", "250-8BITMIME", "250 DSN" the last. */
function isLast(line: Message): boolean {
  return String(line)[3] !== "-";
}

/** The lines of the answer. 4xx (and 421) fails the attempt, 5xx ends the link. */
async function answer(connection: LoginConnection): Promise<string[]> {
  const answered: string[] = [];
  for (;;) {
    const line = await connection.receive();
    answered.push(String(line));
    if (!isLast(line)) continue;
    if (String(line).startsWith("2")) return answered;
    throw new RespliceError("LOGIN_REFUSED", answered.join(" "), { retryable: !String(line).startsWith("5") });
  }
}

/**
 * Danger: two at once on a link would mix their commands. If one of the recipients is refused the mail is. Rejects when
 * the link has ended.
 */
export async function deliver(link: PlainLink, { from, to, text }: Mail): Promise<Outcome> {
  const whole = content(text);
  // Found out behind DATA, this would leave the server waiting for a text.
  if (Buffer.byteLength(whole) > MOST_MAIL_BYTES) return { what: "refused", why: "the mail is too large" };
  const steps: Array<[what: string, expected: string]> = [
    [command("RSET"), "2"], // forgets a mail before that was refused half-way
    [command(`MAIL FROM:<${from}>`), "2"],
    ...to.map((address): [string, string] => [command(`RCPT TO:<${address}>`), "2"]),
    [command("DATA"), "3"],
    [whole, "2"],
  ];
  let why = "";
  let onConnection: number | undefined;
  for (const [number, [what, expected]] of steps.entries()) {
    try {
      // A step belongs to the connection of those before. On the next one the text would be taken for commands.
      why = (await link.requestParts(what, number === 0 ? {} : { onConnection })).join(" ");
    } catch (error) {
      if (!(error instanceof RespliceError) || error.code !== "CONNECTION_LOST") throw error;
      const mayBeThere = number === steps.length - 1 && error.delivery === "maybe";
      return { what: mayBeThere ? "maybe" : "later", why: error.message };
    }
    if (number === 0) onConnection = link.connection;
    if (!why.startsWith(expected)) return { what: why.startsWith("5") ? "refused" : "later", why };
  }
  return { what: "accepted", why };
}

function command(text: string): string {
  // An address that holds a line end could hold commands.
  if (/[\r\n]/u.test(text)) throw new Error(`not one line: ${JSON.stringify(text)}`);
  return `${text}\r\n`;
}

/** A line with a single dot ends the mail, so every line that begins with a dot gets another one. */
function content(text: string): string {
  const all = text.split(/\r\n|\r|\n/u).map((line) => (line.startsWith(".") ? `.${line}` : line));
  return `${all.join("\r\n")}\r\n.\r\n`;
}

if (import.meta.main) await main(process.argv.slice(2));

async function main([host = "", port = "587", from = "", to = ""]: string[]): Promise<void> {
  const { SMTP_USER: user, SMTP_PASSWORD: password } = process.env;
  const manager = new ConnectionManager();
  const link = openSmtp(manager, { host, port: Number(port), user, password });
  link.on("state", ({ to: state, reason }) => console.error(`${state}: ${reason}`));
  try {
    for await (const line of createInterface({ input: process.stdin })) {
      const mail = { from, to: [to], text: `From: <${from}>\nTo: <${to}>\n\n${line}` };
      const { what, why } = await deliver(link, mail);
      console.log(`${what}: ${line}: ${why}`);
    }
  } catch (error) {
    console.error(String(error));
    process.exitCode = 1;
  }
  await manager.close();
  process.stdin.destroy(); // an input that goes on would keep the process
}
