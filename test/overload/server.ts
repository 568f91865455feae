/** The server of a row, in a process of its own: its application floods, blocks or holds what it is told to. */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { answerCalls } from "../../bench/calls.ts";
import {
  lengthPrefixed,
  type Link,
  type OverloadReport,
  plain,
  ServerSupervisor,
  type ServerSupervisorOptions,
} from "../../src/index.ts";

export type ServerCommands = {
  /** `level`: a resource of the application's, moved by `setLevel`. `flood`: for each link, see `Flood`. */
  listen: (options: ListenOptions) => Promise<number>;
  setLevel: (value: number) => void;
  /** The loop does nothing else for `blockMs`, again and again after `restMs`, for so long. */
  block: (how: { blockMs: number; restMs: number; forMs: number }) => Promise<void>;
  /** Keeps numbers in the old generation until it is that full. */
  fillHeap: (share: number) => Promise<number>;
  /** Takes all descriptors that are left, for so long. Answers how many those were. */
  exhaust: (forMs: number) => Promise<number>;
  /** Makes the process one of this control group, from when it listens. */
  enter: (folder: string) => void;
  /** Writes so much into a file, which the kernel keeps in memory for as long as it likes. */
  writeFile: (file: { path: string; bytes: number }) => Promise<void>;
  /** The clock of `reports`. */
  nowMs: () => number;
  reports: () => Reported[];
  stats: () => ReturnType<ServerSupervisor["stats"]>;
};

export type Reported = OverloadReport & { atMs: number };

export interface Flood {
  bytes: number;
  messages: number;
  /** After each message. Default: none, but for a turn now and then. */
  restMs?: number;
}

export interface ListenOptions {
  server: Pick<
    ServerSupervisorOptions,
    "resources" | "dryRun" | "limits" | "queue" | "resumeForMs" | "proxyProtocol" | "tls" | "timeouts"
  >;
  /** Its clients are not resplice: messages have a length of four bytes in front. */
  isPlain?: boolean;
  /** Each link is told the address of its client, and gets its messages back. */
  isEcho?: boolean;
  level?: {
    low: number;
    high: number;
    actions: readonly ("shed" | "refuse-sessions" | "read-less")[];
    critical?: number;
    fallsBy?: number;
  };
  flood?: Flood;
}

const IN_A_TURN = 500;
/** Each takes 8 bytes. */
const NUMBERS = 65_536;

const reports: Reported[] = [];
const held: number[][] = [];
let level = 0;
let supervisor: ServerSupervisor | undefined;

/** Each message begins with its number. */
async function flood(link: Link, { bytes, messages, restMs }: Flood): Promise<void> {
  for (let n = 0; n < messages; n++) {
    const message = Buffer.alloc(bytes);
    message.writeUInt32BE(n);
    await link.send(message);
    // A loop that always finds room would leave no turn to anything else.
    if (restMs !== undefined) await sleep(restMs);
    else if (n % IN_A_TURN === 0) await nextTurn();
  }
  await link.flush();
}

async function echo(link: Link): Promise<void> {
  await link.send(link.remoteAddress ?? "");
  for await (const message of link) await link.send(message);
}

answerCalls({
  listen: async ({ server, level: given, flood: flow, isPlain = false, isEcho = false }) => {
    // A reading that falls a little with each sample: what is done about it seems to help.
    const { fallsBy = 0, ...rule } = given ?? { low: 0, high: 1 };
    const custom = given && { level: { ...rule, read: () => (level -= fallsBy) } };
    const resources = { ...server.resources, ...(custom && { custom }) };
    const protocol = plain({ framing: lengthPrefixed() });
    const options = { port: 0, host: "127.0.0.1", ...server, resources };
    supervisor = new ServerSupervisor(isPlain ? ({ ...options, protocol } as unknown as typeof options) : options);
    supervisor.on("overload", (report) => void reports.push({ ...report, atMs: performance.now() }));
    supervisor.serve((link) => {
      if (isEcho) return echo(link);
      return flow === undefined ? link.onMessage(() => {}) : flood(link, flow);
    });
    return (await supervisor.listen()).port;
  },
  setLevel: (value) => {
    level = value;
  },
  block: async ({ blockMs, restMs, forMs }) => {
    for (const untilMs = performance.now() + forMs; performance.now() < untilMs; await sleep(restMs)) {
      for (const endMs = performance.now() + blockMs; performance.now() < endMs;);
    }
  },
  fillHeap: async (share) => {
    let heap = supervisor?.stats().resources["heap"];
    for (; heap?.observed === undefined; heap = supervisor?.stats().resources["heap"]) await sleep(50);
    const { limit = 0, observed } = heap;
    while (observed + held.length * NUMBERS * 8 < share * limit) {
      held.push(Array.from({ length: NUMBERS }, (_, n) => n + 0.5));
    }
    return held.length;
  },
  exhaust: async (forMs) => {
    const files: number[] = [];
    try {
      for (;;) files.push(openSync("/dev/null", "r"));
    } catch {
      // None is left.
    }
    await sleep(forMs);
    for (const file of files) closeSync(file);
    return files.length;
  },
  enter: (folder) => writeFileSync(join(folder, "cgroup.procs"), String(process.pid)),
  writeFile: async ({ path, bytes }) => {
    const file = await open(path, "w");
    const piece = Buffer.alloc(2 ** 20, 1);
    for (let written = 0; written < bytes; written += piece.length) await file.write(piece);
    await file.close();
  },
  nowMs: () => performance.now(),
  reports: () => reports,
  stats: () => (supervisor as ServerSupervisor).stats(),
} satisfies ServerCommands);
