/** Who is compared: a link, and a raw socket that has the same few methods. */
import { ConnectionManager, type Link, type OpenOptions, ServerSupervisor } from "../src/index.ts";
import { connectRaw, listenRaw, type RawConversation } from "./raw.ts";

/** "ours" is resplice with default options, "reference" a raw socket. */
export type Side = "ours" | "reference";
export type Conversation = Link | RawConversation;

const HOST = "127.0.0.1";

/** Serves on loopback; answers the port. */
export async function listen(
  side: Side,
  onConversation: (conversation: Conversation) => void,
  options: Pick<OpenOptions, "mode"> = {},
): Promise<number> {
  if (side === "reference") return listenRaw(onConversation);
  const supervisor = new ServerSupervisor({ port: 0, host: HOST, ...options });
  supervisor.serve(onConversation);
  return (await supervisor.listen()).port;
}

export function connect(side: Side, port: number, options: OpenOptions = {}): Conversation {
  return side === "reference" ? connectRaw(port) : new ConnectionManager().open({ port, host: HOST, ...options });
}
