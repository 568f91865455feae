/** Who is compared: a link, and a raw socket that has the same few methods. */
import type { Socket } from "node:net";

import {
  ConnectionManager,
  type ConnectionManagerOptions,
  type Link,
  type OpenOptions,
  ServerSupervisor,
  type ServerSupervisorOptions,
} from "resplice";
import { connectRaw, listenRaw, type RawConversation } from "./raw.ts";

/** Of resplice, with default options where nothing else is said; and of a raw socket. */
export type Side = "ours" | "reference";

/** Of a server that watches nothing for overload. */
export const UNWATCHED = {
  resources: { descriptors: false, heap: false, memory: false, bufferBytes: false, lag: false, tcpMemory: false },
} as const satisfies ServerSupervisorOptions;
export type Conversation = Link | RawConversation;

/** Nothing is measured but loopback. */
export const HOST = "127.0.0.1";

/** Serves on loopback; answers the port. */
export async function listen(
  side: Side,
  onConversation: (conversation: Conversation) => void,
  options: ServerSupervisorOptions = {},
): Promise<number> {
  if (side === "reference") return listenRaw(onConversation);
  // As many as a row wants, on whatever machine.
  const limits = { sessions: 40_000, ...options.limits };
  const supervisor = new ServerSupervisor({ port: 0, host: HOST, ...options, limits });
  supervisor.serve(onConversation);
  return (await supervisor.listen()).port;
}

/** What opens the conversations of a process. */
export function connector(
  side: Side,
  options: ConnectionManagerOptions = {},
): (port: number, options?: OpenOptions) => Conversation {
  if (side === "reference") return (port) => connectRaw(port);
  const manager = new ConnectionManager(options);
  return (port, openOptions = {}) => manager.open({ port, host: HOST, ...openOptions });
}

/** A message that no other follows soon: a link writes it at the end of the turn, a raw socket now. */
export function sendAlone(conversation: Conversation, payload: Buffer): void {
  if ("sendNow" in conversation) conversation.sendNow(payload);
  else if (!conversation.trySend(payload)) throw new Error("the link is full");
}

/** As a stream of bytes. */
export function toStream(conversation: Conversation): Socket | ReturnType<Link["duplex"]> {
  return "duplex" in conversation ? conversation.duplex() : conversation.socket;
}
