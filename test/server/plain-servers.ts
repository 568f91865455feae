/** Servers of clients that are not resplice, and such clients. */
import net from "node:net";
import {
  lines,
  plain,
  type PlainLink,
  type PlainOptions,
  type PlainServerOptions,
  ServerSupervisor,
} from "../../src/index.ts";
import { onTestFinished } from "vitest";
import { LineSocket } from "../client/plain-server.ts";
import { Arrivals, keepFromOthers } from "../support.ts";

export type PlainServed = {
  supervisor: ServerSupervisor<ReturnType<typeof plain>>;
  port: number;
  /** Links in the order in which they were let in. */
  links: Arrivals<PlainLink>;
};

export type PlainServerTerms = Omit<Partial<PlainServerOptions>, "protocol"> & { plain?: Partial<PlainOptions> };

/** A server of lines, whose links wait in `links`, or are served by `handler`. */
export async function servePlain(
  { plain: protocol, ...options }: PlainServerTerms = {},
  handler?: (link: PlainLink) => void | Promise<void>,
): Promise<PlainServed> {
  const where = options.path === undefined ? { port: 0, host: "127.0.0.1" } : {};
  const supervisor = new ServerSupervisor({ ...where, ...options, protocol: plain({ framing: lines(), ...protocol }) });
  const links = new Arrivals<PlainLink>();
  supervisor.serve((link) => {
    links.put(link);
    return handler?.(link);
  });
  const { port } = await supervisor.listen();
  onTestFinished(() => void supervisor.close({ deadlineMs: 0 }).then(() => keepFromOthers(port)));
  return { supervisor, port, links };
}

/** Answers each line with the same line. */
export async function echoLines(link: PlainLink): Promise<void> {
  for await (const message of link) await link.send(message);
}

/** A client that speaks lines. `ended` resolves when the server has ended its direction. */
export function lineClient(
  port: number,
  options: Partial<net.TcpNetConnectOpts> = {},
): LineSocket & { ended: Promise<void> } {
  const socket = net.connect({ port, host: "127.0.0.1", ...options });
  onTestFinished(() => void socket.destroy());
  const ended = new Promise<void>((resolve) => {
    socket.on("end", () => resolve());
  });
  return Object.assign(new LineSocket(socket), { ended });
}
