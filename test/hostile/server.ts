/** The server under attack, in a process of its own, so that what it holds and how it fares is its own. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type AuthenticateRequest,
  type Limits,
  type Link,
  RespliceError,
  ServerSupervisor,
  type SupervisorStats,
} from "../../src/index.ts";
import { certificate } from "../certificate.ts";
import { answerCalls } from "../../bench/calls.ts";
import { footprint } from "../endurance/footprint.ts";
import { LogBook } from "./log-book.ts";

export interface ServerPlan {
  path?: string;
  tls?: boolean;
  limits?: Limits;
  window?: { minBytes: number; maxBytes: number };
  maxMessageBytes?: number;
  resumeForMs?: number;
  /** Everybody is who the credentials say, as far as a colon, after so long. Without it there is no authenticate(). */
  authenticateMs?: number;
  logger?: boolean;
}

export interface Memory {
  /** When the garbage is gone: heap, and what is outside of it. */
  heldBytes: number;
  rssBytes: number;
}

export type ServerCommands = {
  listen: (plan: ServerPlan) => Promise<{ port: number }>;
  memory: () => Promise<Memory>;
  stats: () => SupervisorStats;
  /** Calls of authenticate() since it was last asked, how many at a time, and which open payloads they were shown. */
  asked: () => { calls: number; mostAtOnce: number; openPayloads: Record<string, number> };
  log: () => { lines: number; mostASecond: number; controls: string[]; sessionsMayHoldBytes: number };
  /** From now on every line throws: a full disk. */
  fillDisk: () => void;
  /** Of the links with this open payload, as the application sees them. */
  windows: (openPayload: string) => number[];
  /** The next call of authenticate() gives this in place of a verdict. */
  answerOnce: (what: keyof typeof NO_VERDICTS) => void;
};

/** What a mistake in an application's authenticate() gives. */
export const NO_VERDICTS = { undefined, true: true, "empty string": "", "empty object": {} };

const links = new Set<Link>();
const asked = { calls: 0, mostAtOnce: 0, now: 0, openPayloads: {} as Record<string, number> };
const book = new LogBook();
let odd: { value: unknown } | undefined;
let supervisor: ServerSupervisor;

async function authenticate({ credentials, openPayload }: AuthenticateRequest, afterMs: number): Promise<string> {
  const payload = String(openPayload);
  asked.calls++;
  asked.openPayloads[payload] = (asked.openPayloads[payload] ?? 0) + 1;
  asked.mostAtOnce = Math.max(asked.mostAtOnce, ++asked.now);
  if (afterMs > 0) await sleep(afterMs);
  asked.now--;
  const given = odd;
  odd = undefined;
  return given === undefined ? (String(credentials).split(":")[0] as string) : (given.value as string);
}

/** What the client's open payload asks for. A link that fails is no failure of ours. */
async function serve(link: Link): Promise<void> {
  links.add(link);
  void link.closed.then(() => links.delete(link));
  try {
    const wish = String(link.openPayload);
    if (wish === "stuck") await link.closed;
    else if (wish === "swallow") for await (const message of link) void message;
    else if (wish === "flood") await flood(link);
    else for await (const message of link) await link.send(message);
  } catch (error) {
    if (!(error instanceof RespliceError)) throw error;
  }
}

/** As much as the link takes, to somebody who reads none of it; and nothing is read either. */
async function flood(link: Link): Promise<void> {
  const message = Buffer.alloc(4_096, 1);
  while (link.state !== "closed") {
    while (link.trySend(message));
    await link.ready();
  }
}

answerCalls({
  listen: async ({ path, tls, authenticateMs, logger, ...plan }) => {
    supervisor = new ServerSupervisor({
      ...(path === undefined ? { port: 0, host: "127.0.0.1" } : { path }),
      ...plan,
      ...(tls === true ? { tls: await certificate() } : {}),
      ...(authenticateMs === undefined ? {} : { authenticate: (request) => authenticate(request, authenticateMs) }),
      ...(logger === true ? { logger: book.logger() } : {}),
    });
    supervisor.serve(serve);
    const { port } = await supervisor.listen();
    return { port };
  },
  memory: async () => {
    const { heapBytes, externalBytes, rssBytes } = await footprint();
    return { heldBytes: heapBytes + externalBytes, rssBytes };
  },
  stats: () => supervisor.stats(),
  asked: () => {
    const { calls, mostAtOnce, openPayloads } = asked;
    Object.assign(asked, { calls: 0, mostAtOnce: asked.now, openPayloads: {} });
    return { calls, mostAtOnce, openPayloads };
  },
  log: () => book.read(),
  fillDisk: () => book.fail(new Error("ENOSPC: no space left on device, write")),
  windows: (openPayload) =>
    [...links].filter((link) => String(link.openPayload) === openPayload).map((link) => link.stats().windowBytes),
  answerOnce: (what) => {
    odd = { value: NO_VERDICTS[what] };
  },
} satisfies ServerCommands);
