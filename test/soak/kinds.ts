/** The ways in which a link is used, and which server is for which. */
import { KiB } from "../../src/index.ts";

/** Alike at both ends. */
export const KINDS = [
  "trySend, onMessage",
  "send, for await",
  "until accepted, receive",
  "manual acceptance",
  "duplex",
  "TLS",
] as const;
export type Kind = (typeof KINDS)[number];

export const SERVERS = ["messages", "manual", "bytes", "tls"] as const;
export type Server = (typeof SERVERS)[number];

export const SERVER_OF: Record<Kind, Server> = {
  "trySend, onMessage": "messages",
  "send, for await": "messages",
  "until accepted, receive": "messages",
  "manual acceptance": "manual",
  duplex: "bytes",
  TLS: "tls",
};

export const MANUAL = { maxBatchBytes: 512 * KiB };

/** What an end knows when the link has ended. Streams have no messages. */
export interface Account {
  id: number;
  kind: Kind;
  sent: { messages: number; bytes: number };
  received: { messages: number; bytes: number };
  reconnects: number;
  problems: string[];
}
