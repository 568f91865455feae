/** Either end of a herd: links of one manager that all lose their server at the same moment. */
import { channel } from "node:diagnostics_channel";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { ConnectionManager, type ConnectionManagerOptions, type Link, lines, plain } from "resplice";
import { listen } from "./contenders.ts";
import { answerCalls } from "./calls.ts";
import { given, monotonicMs } from "./worker.ts";

export interface HerdTerms {
  protocol: "durable" | "plain";
  manager: ConnectionManagerOptions;
}

/** Times are on the clock that all processes share. */
export type HerdCommands = {
  /** A server that answers. Port 0: any. */
  serve(port: number): Promise<number>;
  /** A server that closes each connection that it has accepted. */
  acceptAndClose(port: number): Promise<void>;
  /** Resolves when all links are connected. */
  open(options: { port: number; links: number }): Promise<void>;
  /** Resolves when all links are connected, with when each was. */
  back(): Promise<number[]>;
  /** When each dial began, since this was asked the last time. */
  dials(): number[];
};

/**
 * Connections to it come from 127.0.0.1. If both were one address, a dial while nobody listens could be given the
 * server's port as its own, and would be connected to itself.
 */
const SERVER = "127.0.0.2";
const LOOK_MS = 5;

const { protocol, manager: options } = given() as HerdTerms;
const manager = new ConnectionManager(options);
const connectedMs = new Map<Link, number>();
let dialsMs: number[] = [];

// Counted where Node makes the sockets, not where resplice says that it dials.
channel("net.client.socket").subscribe(() => void dialsMs.push(monotonicMs()));

answerCalls({
  serve: async (port) => {
    if (protocol === "durable") return listen("ours", () => {}, { port, host: SERVER });
    return listenOn(
      port,
      net.createServer((socket) => socket.on("error", () => {}).pipe(socket)),
    );
  },
  acceptAndClose: async (port) => {
    await listenOn(
      port,
      net.createServer((socket) => socket.destroy()),
    );
  },
  open: async ({ port, links }) => {
    for (let n = 0; n < links; n++) {
      const link = open(port);
      link.on("state", ({ to }) => {
        if (to === "connected") connectedMs.set(link, monotonicMs());
      });
    }
    await manager.connected();
  },
  back: async () => {
    while (manager.health().status !== "healthy") await sleep(LOOK_MS);
    return [...connectedMs.values()];
  },
  dials: () => {
    const before = dialsMs;
    dialsMs = [];
    return before;
  },
} satisfies HerdCommands);

function open(port: number): Link {
  const target = { host: SERVER, port };
  return protocol === "durable"
    ? manager.open(target)
    : manager.open({ ...target, protocol: plain({ framing: lines() }) });
}

async function listenOn(port: number, server: net.Server): Promise<number> {
  server.listen(port, SERVER);
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}
