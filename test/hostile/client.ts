/** A process of clients: a healthy link that is measured, and beside it, in the same manager, one that is being attacked. */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Socket } from "node:net";
import { ConnectionManager, type Link, MiB, type OpenOptions, type Target } from "../../src/index.ts";
import { answerCalls } from "../../bench/calls.ts";
import { footprint } from "../endurance/footprint.ts";
import { Healthy, type HealthyTarget, NEVER_MS, type Trips } from "./healthy.ts";
import { hasControls, LogBook } from "./log-book.ts";
import type { Memory } from "./server.ts";

export type ClientCommands = {
  begin: (target: HealthyTarget) => Promise<void>;
  measure: (options: { windows: number; windowMs: number }) => Promise<{ link: Trips[]; bare: Trips[] }>;
  reconnects: () => number;
  /** Only where there is no relay to do it. */
  cut: () => void;
  back: (reconnects: number) => Promise<number>;
  /** How long each of so many new links took, one after the other, from open() to the first answer. */
  newcomers: (times: number) => Promise<number[]>;
  /** Opens the link that is attacked. */
  victim: (options: { port: number; kind: VictimKind; windowBytes?: number }) => void;
  victimConnected: () => Promise<void>;
  /** From now, or from its loss a moment ago, until it is connected again with an answer from the other end. */
  victimBack: () => Promise<{ ms: number; ended: string }>;
  /** Until it has ended. */
  victimEnded: () => Promise<void>;
  victimState: () => VictimState;
  memory: () => Promise<Memory>;
};

export interface VictimState {
  state: string;
  /** The code of what ended it, or empty. */
  ended: string;
  /** The longest that it said it would wait for its next attempt. */
  longestDelayMs: number;
  attempts: number;
  /** Of its errors and log lines, those that a terminal would obey. */
  controls: string[];
}

export const SECRET = "sk-hostile-0123456789abcdef";

/** What its application's hooks answer. The first answer is as it should be where a cut is to find the fault. */
const VICTIMS = {
  plain: () => ({}),
  stuck: () => ({}),
  "tls: () => undefined": () => ({ tls: (() => undefined) as never }),
  "tls: async () => undefined": () => ({ tls: (async () => undefined) as never }),
  "tls: undefined at the second attempt": () => {
    let calls = 0;
    return { tls: (() => (calls++ === 0 ? { rejectUnauthorized: false } : undefined)) as never };
  },
  "endpoints: []": (port: number) => ({ endpoints: once([], [{ port, host: "127.0.0.1" }]) }),
  "endpoints: undefined": (port: number) => ({ endpoints: once(undefined, [{ port, host: "127.0.0.1" }]) }),
  "connect: undefined": (port: number) => {
    const answer = once(undefined, true);
    return { connect: (() => (answer() === undefined ? undefined : connect({ port, host: "127.0.0.1" }))) as never };
  },
  "connect: a paused stream": (port: number) => streamOnce(port, (socket) => socket.pause()),
  "connect: a stream with an encoding": (port: number) => streamOnce(port, (socket) => socket.setEncoding("utf8")),
  "connect: a stream that is closed": (port: number) => streamOnce(port, (socket) => socket.destroy()),
  "credentials: undefined": () => ({ credentials: once(undefined, "victim") as never }),
} satisfies Record<string, (port: number) => Partial<OpenOptions> | Partial<Target>>;
export type VictimKind = keyof typeof VICTIMS;

/** As it should be, then once this, then as it should be. */
function once<T>(wrong: unknown, right: T): () => T {
  let calls = 0;
  return () => (++calls === 2 ? (wrong as T) : right);
}

/** The application's own transport, with something done to the second one. */
function streamOnce(port: number, change: (socket: Socket) => unknown): { connect: () => Socket } {
  let calls = 0;
  return {
    connect: () => {
      const socket = connect({ port, host: "127.0.0.1" });
      if (++calls === 2) change(socket);
      return socket;
    },
  };
}

const book = new LogBook();
const manager = new ConnectionManager({ logger: book.logger() });
let healthy: Healthy;
let victim: Link;
let state: VictimState;

answerCalls({
  begin: async (target) => {
    healthy = new Healthy(manager, target);
    await healthy.connected();
  },
  measure: ({ windows, windowMs }) => healthy.measure(windows, windowMs),
  reconnects: () => healthy.reconnects,
  cut: () => healthy.cut(),
  back: (reconnects) => healthy.back(reconnects),
  newcomers: async (times) => {
    const tookMs: number[] = [];
    for (let time = 0; time < times; time++) tookMs.push(await healthy.newcomer());
    return tookMs;
  },
  victim: ({ port, kind, windowBytes = MiB }) => {
    state = { state: "created", ended: "", longestDelayMs: 0, attempts: 0, controls: [] };
    const target: Target = { port, host: "127.0.0.1" };
    const hooks: object = VICTIMS[kind](port);
    const options: OpenOptions = {
      credentials: SECRET,
      openPayload: kind === "stuck" ? "stuck" : "victim",
      // What came is read by nobody: all of it stays within the window.
      window: { minBytes: windowBytes, maxBytes: windowBytes },
      maxMessageBytes: MiB / 2,
    };
    const isOwnTarget = "endpoints" in hooks || "connect" in hooks;
    victim = manager.open({ ...(isOwnTarget ? {} : target), ...options, ...hooks } as Target & OpenOptions);
    watch(victim, state);
  },
  victimConnected: async () => {
    await victim.connected({ signal: AbortSignal.timeout(NEVER_MS) });
  },
  victimBack: async () => {
    const fromMs = performance.now();
    const before = state.attempts;
    while (performance.now() - fromMs < NEVER_MS && victim.state !== "closed") {
      if (victim.state === "connected" && state.attempts > before) return { ms: performance.now() - fromMs, ended: "" };
      await sleep(5);
    }
    return { ms: NEVER_MS, ended: state.ended };
  },
  victimEnded: async () => {
    await Promise.race([victim.closed, sleep(NEVER_MS)]);
  },
  victimState: () => ({ ...state, state: victim.state, controls: [...state.controls, ...book.read().controls] }),
  memory: async () => {
    const { heapBytes, externalBytes, rssBytes } = await footprint();
    return { heldBytes: heapBytes + externalBytes, rssBytes };
  },
} satisfies ClientCommands);

function watch(link: Link, into: VictimState): void {
  link.on("state", (change) => {
    if (change.to === "connecting") into.attempts++;
    if (change.to !== "reconnecting") return;
    into.longestDelayMs = Math.max(into.longestDelayMs, change.nextDelayMs);
    if (change.error !== undefined && hasControls(change.error.message)) into.controls.push(change.error.code);
  });
  link.on("error", (error) => {
    into.ended = error.code;
    if (hasControls(error.message)) into.controls.push(error.code);
  });
}
