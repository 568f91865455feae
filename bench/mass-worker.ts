/** Either end of very many links whose connections are all cut at once. */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { ConnectionManager, type ConnectionManagerOptions, type Limits, type Link } from "resplice";
import { HOST, listen, sendAlone } from "./contenders.ts";
import { LoopDelay, type LoopFigures } from "./loop-delay.ts";
import { Check, Payloads } from "./payloads.ts";
import { answerCalls } from "./calls.ts";
import { fail, given, monotonicMs } from "./worker.ts";

export interface MassLimits {
  manager: ConnectionManagerOptions;
  server: Limits;
}

export type MassCommands = {
  listen(): Promise<number>;
  open(options: { port: number; links: number }): Promise<void>;
  /** One message on each link. */
  send(): void;
  /** Resolves with when each link has received so many, on the clock that all processes share. */
  received(options: { links: number; messages: number }): Promise<number>;
  /** Resets all connections; answers when. */
  cut(): number;
  /** Resolves when each link has come back. Fails if one has lost its session. */
  resumed(): Promise<number>;
  look(): LoopFigures;
};

const BYTES = 64;
/** Openings under way at once. */
const BATCH = 500;
/** Connections from one address: it has some 28,000 ports, and those of before the cut may still be in use. */
const PER_ADDRESS = 5_000;
const LOOK_MS = 5;

const limits = given() as MassLimits;
const manager = new ConnectionManager(limits.manager);
const payloads = new Payloads(BYTES, false);
const loopDelay = new LoopDelay();
const checks: Check[] = [];
const links: Link[] = [];
const resumed = new Set<Link>();
const sockets = new Set<net.Socket>();
let sent = 0;

answerCalls({
  listen: () => {
    loopDelay.start();
    return listen(
      "ours",
      (accepted) => {
        const check = new Check(BYTES, false);
        checks.push(check);
        accepted.onMessage((message) => check.take(message));
      },
      { limits: limits.server },
    );
  },
  open: async ({ port, links: wanted }) => {
    while (links.length < wanted) {
      const batch = Array.from({ length: Math.min(BATCH, wanted - links.length) }, (_, at) => {
        const address = `127.0.0.${2 + Math.floor((links.length + at) / PER_ADDRESS)}`;
        return manager.open({ connect: () => dial(port, address) });
      });
      links.push(...batch);
      await Promise.all(batch.map((link) => link.connected()));
    }
    for (const link of links) {
      link.on("state", (change) => {
        if (change.to === "connected") noteConnected(link, change.session);
      });
    }
  },
  send: () => {
    const payload = payloads.at(sent++);
    for (const link of links) sendAlone(link, payload);
  },
  received: async ({ links: expected, messages }) => {
    while (checks.length < expected || checks.some((check) => check.messages < messages)) await sleep(LOOK_MS);
    return monotonicMs();
  },
  cut: () => {
    const nowMs = monotonicMs();
    for (const socket of sockets) socket.resetAndDestroy();
    return nowMs;
  },
  resumed: async () => {
    while (resumed.size < links.length) await sleep(LOOK_MS);
    return monotonicMs();
  },
  look: () => loopDelay.take(),
} satisfies MassCommands);

function noteConnected(link: Link, session: "new" | "resumed"): void {
  if (session === "new") fail("a link has lost its session");
  resumed.add(link);
}

function dial(port: number, localAddress: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: HOST, localAddress, noDelay: true });
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.once("error", reject);
    socket.once("connect", () => resolve(socket));
  });
}
