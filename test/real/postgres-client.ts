/** A client of PostgreSQL over a plain link: login with a password under TLS, and simple queries. */
import type { ConnectionOptions } from "node:tls";
import {
  lengthPrefixed,
  type LoginConnection,
  type Message,
  plain,
  type PlainLink,
  type PlainProtocol,
  RespliceError,
} from "../../src/index.ts";

export interface PostgresLogin {
  user: string;
  password: string;
  database: string;
  /** As pg_stat_activity shows it. */
  applicationName: string;
}

/** At most so many queries are written and not answered on one connection. */
export const MOST_IN_FLIGHT = 64;

const VERSION = 0x0003_0000;
const SSL_REQUEST = 80_877_103;
const MOST_ANSWER_BYTES = 64 * 1_048_576;
/** Another attempt ends as this one: invalid password, invalid authorization, no such database. */
const FATAL = new Set(["28P01", "28000", "3D000"]);
/** admin_shutdown: pg_terminate_backend(), or the server goes down. */
const TERMINATED = "57P01";

export function postgres(login: PostgresLogin, tls: ConnectionOptions): PlainProtocol {
  return plain({
    framing: lengthPrefixed({ headerBytes: 1, counts: "itself" }),
    login: (connection) => logIn(connection, login, tls),
    requests: { classify, maxInFlight: MOST_IN_FLIGHT, maxAnswerBytes: MOST_ANSWER_BYTES },
    reconnectWhen: (message) => typeOf(message) === "E" && problemIn(message).code === TERMINATED,
  });
}

/** An ErrorResponse of the server to a query. */
class PostgresError extends Error {
  readonly code: string;

  constructor({ code, text }: Problem) {
    super(`${code}: ${text}`);
    this.name = "PostgresError";
    this.code = code;
  }
}

/** Answers the rows, as texts. Rejects as request() does, and with a PostgresError. */
export async function query(link: PlainLink, sql: string): Promise<string[][]> {
  const parts = await link.requestParts(`Q${sql}\0`);
  const error = parts.find((part) => typeOf(part) === "E");
  if (error !== undefined) throw new PostgresError(problemIn(error));
  return parts.filter((part) => typeOf(part) === "D").map(rowIn);
}

async function logIn(connection: LoginConnection, login: PostgresLogin, tls: ConnectionOptions): Promise<void> {
  connection.sendRaw(withLength([uint32(SSL_REQUEST)]));
  const answer = String(await connection.receiveRaw(1));
  if (answer !== "S") throw new Error(`the server has no TLS: it answers ${answer}`);
  await connection.startTls(tls);
  const { user, database, applicationName, password } = login;
  const terms = ["user", user, "database", database, "application_name", applicationName, ""];
  connection.sendRaw(withLength([uint32(VERSION), Buffer.from(terms.map((term) => `${term}\0`).join(""))]));
  for (;;) {
    const message = await connection.receive();
    switch (typeOf(message)) {
      case "R":
        if (asksForPassword(message)) connection.send(`p${password}\0`);
        break;
      case "E":
        throw refusal(problemIn(message));
      case "Z":
        return;
    }
  }
}

/** Authentication is over, or the server wants the password as it is; it may want what this client cannot do. */
function asksForPassword(message: Message): boolean {
  const kind = message.readUInt32BE(1);
  if (kind !== 0 && kind !== 3) throw new RespliceError("LOGIN_REFUSED", `authentication of kind ${kind}`);
  return kind === 3;
}

function refusal(problem: Problem): Error {
  const error = new PostgresError(problem);
  if (!FATAL.has(problem.code)) return error;
  return new RespliceError("LOGIN_REFUSED", error.message, { cause: error });
}

/** ReadyForQuery ends an answer. A fatal error comes at any time, and no answer goes on behind it. */
function classify(message: Message): "answer" | "push" | "more" {
  switch (typeOf(message)) {
    case "Z":
      return "answer";
    case "A":
    case "N":
    case "S":
      return "push";
    case "E":
      return problemIn(message).severity === "ERROR" ? "more" : "push";
    default:
      return "more";
  }
}

function typeOf(message: Message): string {
  return message.toString("latin1", 0, 1);
}

interface Problem {
  severity: string;
  code: string;
  text: string;
}

/** Of an ErrorResponse: fields of a letter and a text. */
function problemIn(message: Message): Problem {
  const fields = message.toString("utf8", 1).split("\0");
  const field = (letter: string): string => fields.find((text) => text.startsWith(letter))?.slice(1) ?? "";
  return { severity: field("V"), code: field("C"), text: field("M") };
}

function rowIn(message: Message): string[] {
  const columns: string[] = [];
  let at = 3;
  for (let left = message.readUInt16BE(1); left > 0; left--) {
    const bytes = Math.max(0, message.readInt32BE(at)); // -1: null
    at += 4;
    columns.push(message.toString("utf8", at, at + bytes));
    at += bytes;
  }
  return columns;
}

/** The first messages have a length, and no type. */
function withLength(parts: readonly Buffer[]): Buffer {
  const bytes = parts.reduce((sum, part) => sum + part.length, 4);
  return Buffer.concat([uint32(bytes), ...parts]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
