/** What a test and its peers say to each other: JSON, one object a line. */
import type { OpenOptions, ServerSupervisorOptions } from "../../../src/index.ts";

/** What a peer is started with. */
export type Role = { name: string; host: string; port: number } & (
  | { role: "client"; options: OpenOptions; links?: number }
  | { role: "server"; options: Omit<ServerSupervisorOptions, "port" | "host"> }
);

/** The answer to each says how many messages were taken in all, and from where the peer speaks. */
export type Order =
  /** A message every so many milliseconds, until "rest". */
  | { order: "talk"; everyMs: number }
  | { order: "rest" }
  | { order: "send"; count: number }
  /** Each link of a client says something once, at a moment of its own within so long. Obeyed when the last has. */
  | { order: "speak"; withinMs: number }
  /** Until the other application has accepted all that was taken. */
  | { order: "flush" }
  /** Keeps the event loop busy for so long, with a message under way whose answer cannot be read meanwhile. */
  | { order: "block"; ms: number }
  /** A client closes its link, a server waits for that; answers how the link ended. */
  | { order: "finish" };

/** `atMs` is the wall clock's: two processes on one machine. */
export type Report = { atMs: number } & (
  | { is: "answer"; to: number; sent: number; peerAddress: string | undefined; ended?: Ended }
  | { is: "received"; from: string; number: number }
  /** Messages that the link has given back. */
  | { is: "returned"; reason: string; numbers: number[]; delivery: "not-sent" | "maybe" }
  /** A line of the log, as an operator has it. */
  | ({ is: "log" } & LogLine)
);

export interface Ended {
  code?: string | undefined;
  undelivered: number;
}

export interface LogLine {
  event: string;
  from?: string;
  to?: string;
  reason?: string;
  code?: string;
  attempt?: number;
  nextDelayMs?: number;
  resumed?: boolean;
  session?: string;
}
