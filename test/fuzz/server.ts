/** The server that is attacked, in a process of its own, so that what it holds is its own. */
import { setImmediate as turn } from "node:timers/promises";
import { type Link, RespliceError, ServerSupervisor, type SupervisorStats } from "../../src/index.ts";
import { certificate } from "../certificate.ts";
import { answerCalls } from "../../bench/calls.ts";
import { footprint, type Footprint, Peak } from "../endurance/footprint.ts";

/** Short, so that what was left behind is gone a moment after the last connection. */
const HANDSHAKE_MS = 2_000;
const RESUME_FOR_MS = 2_000;

export type ServerCommands = {
  listen: () => Promise<{ plain: number; tls: number }>;
  stats: () => { plain: SupervisorStats; tls: SupervisorStats };
  /** Since the last time it was asked for. */
  peak: () => Partial<Footprint>;
  footprint: () => Promise<Footprint>;
  close: () => Promise<Footprint>;
};

/** Everybody may come in whose credentials say nothing else; the answer takes a turn, in which they may be gone. */
async function authenticate({ credentials }: { credentials: Buffer }): Promise<string | null> {
  await turn();
  if (String(credentials) === "unavailable") throw new Error("the directory is down");
  return String(credentials) === "refuse" ? null : "somebody";
}

/** An echo. A session that nobody comes back to ends: that is no failure of ours. */
async function echo(link: Link): Promise<void> {
  try {
    for await (const message of link) await link.send(message);
  } catch (error) {
    if (!(error instanceof RespliceError)) throw error;
  }
}

const OPTIONS = {
  port: 0,
  host: "127.0.0.1",
  authenticate,
  resumeForMs: RESUME_FOR_MS,
  timeouts: { handshakeMs: HANDSHAKE_MS, tlsMs: HANDSHAKE_MS },
  limits: { opensPerSecond: 20_000, resumesPerSecond: 20_000, standbysPerSecond: 20_000 },
};

const plain = new ServerSupervisor(OPTIONS);
const secure = new ServerSupervisor({ ...OPTIONS, tls: await certificate() });
let peak = new Peak();

answerCalls({
  listen: async () => {
    for (const supervisor of [plain, secure]) supervisor.serve(echo);
    setInterval(() => peak.look(), 100).unref();
    return { plain: (await plain.listen()).port, tls: (await secure.listen()).port };
  },
  stats: () => ({ plain: plain.stats(), tls: secure.stats() }),
  peak: () => {
    const { most } = peak;
    peak = new Peak();
    return most;
  },
  footprint: () => footprint(),
  close: async () => {
    await Promise.all([plain.close({ deadlineMs: 1_000 }), secure.close({ deadlineMs: 1_000 })]);
    return footprint();
  },
} satisfies ServerCommands);
