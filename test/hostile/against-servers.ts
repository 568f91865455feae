/** Attacks on a server, each with the option values that it needs, the figures that it reaches, and their bounds. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SESSION_HEAP_BYTES } from "../../src/core/session/session.ts";
import { MiB } from "../../src/index.ts";
import type { Plan } from "./attacks.ts";
import { NEVER_MS } from "./healthy.ts";
import { NO_VERDICTS, type ServerCommands, type ServerPlan } from "./server.ts";
import type { Child } from "../endurance/child.ts";
import { type Attack, isAlive, type Stage } from "./stage.ts";

/** Nobody is told to wait for longer than this. */
const MOST_RETRY_AFTER_MS = 30_000;
/** What repeats is logged at a bounded rate, with a count. All kinds of lines together. */
const MOST_LINES_A_SECOND = 100;
const CONNECTS_WITHIN_MS = 1_000;
/** After a flood is over, at a rate of five a second. */
const FIRST_BURST = 23;
/** More than there is time for. */
const ENDLESS = 1_000_000;
/** Admission is not what is attacked: it must not be what protects. */
const ALL_WELCOME = { opensPerSecond: 100_000, resumesPerSecond: 100_000, standbysPerSecond: 100_000 };

export const AGAINST_SERVERS: Attack[] = [
  ...[1, 8].map((mebibytes): Attack => ({
    name: `pinned-${mebibytes}`,
    about: `512 bytes of DATA in each 64 KiB that is read, within ${mebibytes} MiB of credit`,
    run: (stage) => pinned(stage, mebibytes * MiB),
  })),
  {
    name: "empty",
    about: "empty messages at 12 MB/s: three million a second",
    async run(stage) {
      const { port } = await stage.server({});
      const healthy = await stage.healthy({ port });
      const { bytes = 0, ms = 1 } = await stage.attacked(healthy, "empty", { where: { port }, times: 1 });
      // Not a bound on the product: it may take less than it is offered, but must take something.
      const figure = bytes / 4 / (ms / 1_000);
      stage.row({ what: "messages a second", figure, bound: 100_000, is: "at least", unit: "" });
    },
  },
  {
    name: "stuck",
    about: "20 clients that give credit and read nothing, and fill what they are given",
    run: stuck,
  },
  {
    name: "abandoned",
    about: "20,000 sessions, opened and left, on a heap of 64 MB with the default caps",
    run: (stage) => abandoned(stage),
  },
  {
    name: "open-payloads",
    about: "1,000 sessions opened with 16 KB of credentials and a payload of one byte, and left",
    run: heldForEach,
  },
  {
    name: "unconfirmed",
    about: "4,200 opens that are never confirmed, then a new session's window",
    run: unconfirmed,
  },
  {
    name: "identity",
    about: "unconfirmed opens up to the cap of an identity, then its owner",
    async run(stage) {
      const sessionsPerIdentity = 10;
      const { port } = await stage.server({ authenticateMs: 0, limits: { sessionsPerIdentity } });
      const healthy = await stage.healthy({ port }, "owner");
      const plan = { where: { port }, times: 2 * sessionsPerIdentity, credentials: "owner" };
      let tookMs = NEVER_MS;
      const during = async (): Promise<void> => {
        [tookMs = NEVER_MS] = await healthy.client.call("newcomers", 1);
      };
      const { welcome = 0 } = await stage.attacked(healthy, "unconfirmed", plan, { during });
      const note = `${welcome} of ${plan.times} unconfirmed opens were welcomed`;
      stage.row({ what: "owner connects", figure: tookMs, bound: CONNECTS_WITHIN_MS, unit: "ms", note });
    },
  },
  {
    name: "resumes",
    about: "ten sessions of one client, resumed as often as there is time for; nobody is told apart",
    run: (stage) => resumes(stage, {}),
  },
  {
    name: "resumes-identities",
    about: "the same, where authenticate() tells the attacker from the healthy one",
    run: (stage) => resumes(stage, { authenticateMs: 0 }),
  },
  {
    name: "opens",
    about: "a flood of opens above the rate, then a burst when it is over",
    run: opens,
  },
  {
    name: "eviction",
    about: "4,000 clients in a crowd, and an authenticate() of 2 s",
    run: eviction,
  },
  ...[100, 2_000].map((sockets): Attack => ({
    name: `connections-${sockets}`,
    about: `connections: 100, and ${sockets} ${sockets === 100 ? "silent sockets" : "hostile ones of six kinds"}`,
    run: (stage) => fullHouse(stage, sockets),
  })),
  {
    name: "unix-tls",
    about: "TLS on a Unix path: 200 silent sockets where 50 handshakes are allowed",
    run: unixPath,
  },
  {
    name: "logger-throws",
    about: "anonymous connections with garbage, and a logger that throws (a full disk)",
    async run(stage) {
      const { server, port } = await stage.server({ logger: true });
      const healthy = await stage.healthy({ port });
      const before = (): Promise<void> => server.call("fillDisk");
      const plan = { where: { port }, times: ENDLESS };
      const { connections = 0 } = await stage.attacked(healthy, "garbage", plan, { before });
      const death = await isAlive(server);
      const note = death === "" ? `after ${connections} connections` : death;
      stage.row({ what: "server ended", figure: death === "" ? 0 : 1, bound: 0, unit: "", note });
    },
  },
  {
    name: "log-rate",
    about: "anonymous connections with garbage: how many log lines they make",
    async run(stage) {
      const { server, port } = await stage.server({ logger: true });
      const healthy = await stage.healthy({ port });
      const fromMs = performance.now();
      const { connections = 0 } = await stage.attacked(healthy, "garbage", { where: { port }, times: ENDLESS });
      const { mostASecond, lines } = await server.call("log");
      // A burst at the beginning is well: it is the rate that fills a disk.
      const figure = lines / ((performance.now() - fromMs) / 1_000);
      const note = `${lines} lines for ${connections} connections; ${mostASecond} in the worst second`;
      stage.row({ what: "lines a second", figure, bound: MOST_LINES_A_SECOND, unit: "", note });
    },
  },
  {
    name: "tenants",
    about: "a session of tenant-a resumed with the open payload of tenant-b, with and without its proof",
    run: tenants,
  },
  {
    name: "verdicts",
    about: "authenticate() gives no verdict on a resume: undefined, true, an empty string, an empty object",
    run: verdicts,
  },
  {
    name: "controls-client",
    about: "resets whose reasons end the line and command the terminal",
    async run(stage) {
      const { server, port } = await stage.server({ logger: true });
      const healthy = await stage.healthy({ port });
      const { resets = 0 } = await stage.attacked(
        healthy,
        "controls",
        { where: { port }, times: 200 },
        { isOver: true },
      );
      const { controls } = await server.call("log");
      const note = `${resets} resets; in ${[...new Set(controls)].join(", ") || "none"}`;
      stage.row({ what: "log lines obeyed", figure: controls.length, bound: 0, unit: "", note });
    },
  },
];

/** The window is full, and everything in it is held: at most twice the window. */
/** What a server holds more under attack than when the healthy link beside it was all there was. */
function heldMore(server: Child<ServerCommands>) {
  let quiet = { heldBytes: 0, rssBytes: 0 };
  const held = {
    bytes: 0,
    rssBytes: 0,
    before: async (): Promise<void> => {
      quiet = await server.call("memory");
    },
    during: async (): Promise<void> => {
      const now = await server.call("memory");
      held.bytes = now.heldBytes - quiet.heldBytes;
      held.rssBytes = now.rssBytes - quiet.rssBytes;
    },
  };
  return held;
}

async function pinned(stage: Stage, windowBytes: number): Promise<void> {
  const window = { minBytes: windowBytes, maxBytes: windowBytes };
  const { server, port } = await stage.server({ window, maxMessageBytes: MiB / 2 });
  const healthy = await stage.healthy({ port });
  const held = heldMore(server);
  const plan = { where: { port }, times: 1 };
  const { creditBytes = 0 } = await stage.attacked(healthy, "pinned", plan, { ...held, isOver: true });
  const note = `for ${(creditBytes / MiB).toFixed(1)} MiB of log`;
  stage.row({ what: "memory held", figure: held.bytes, bound: 2 * windowBytes, unit: "MiB", note });
  const used = "of the window: the attack was in position";
  stage.row({
    what: "credit used up",
    figure: creditBytes,
    bound: windowBytes / 2,
    is: "at least",
    unit: "MiB",
    note: used,
  });
}

/** 21 sessions, one of them healthy; 16 MiB of buffers: today's line says 21 x 1 MiB + 2 x 16 MiB. */
async function stuck(stage: Stage): Promise<void> {
  const limits = { connections: 100, sessions: 21, bufferBytes: 16 * MiB };
  const { server, port } = await stage.server({ limits, logger: true });
  const healthy = await stage.healthy({ port });
  const { sessionsMayHoldBytes } = await server.call("log");
  const held = heldMore(server);
  const counts = await stage.attacked(healthy, "stuck", { where: { port }, times: 20 }, { ...held, isOver: true });
  const note = `${counts["sessions"] ?? 0} stuck sessions; bound as server.listening states it`;
  stage.row({ what: "memory held", figure: held.bytes, bound: sessionsMayHoldBytes, unit: "MiB", note });
  // What the allocator has not given back yet: as much as the other runs here allow (test/fuzz).
  const slack = 64 * MiB;
  const above = "as stated, and 64 MiB that the allocator keeps";
  stage.row({
    what: "RSS grown",
    figure: held.rssBytes,
    bound: sessionsMayHoldBytes + slack,
    unit: "MiB",
    note: above,
  });
  // Without a bound that is stated there is nothing to hold it to.
  stage.row({ what: "bound stated", figure: sessionsMayHoldBytes, bound: 1, is: "at least", unit: "bytes" });
}

export async function abandoned(stage: Stage, plan: ServerPlan = {}, comeAs: Partial<Plan> = {}): Promise<void> {
  const { server, port } = await stage.server({ limits: ALL_WELCOME, ...plan }, "--max-old-space-size=64");
  const healthy = await stage.healthy({ port });
  const attacker = stage.attacker();
  await stage.beside(healthy, {
    // As many as the default cap, however long that takes: the healthy link is measured in the meantime.
    press: () => attacker.call("press", { attack: "abandoned", plan: { where: { port }, times: 20_000, ...comeAs } }),
    release: () => attacker.call("release"),
  });
  const { sessions = 0, refused = 0 } = await attacker.call("counts");
  const death = await isAlive(server);
  const note = death === "" ? `${sessions} sessions left, ${refused} turned away` : `after ${sessions}: ${death}`;
  stage.row({ what: "server ended", figure: death === "" ? 0 : 1, bound: 0, unit: "", note });
}

async function heldForEach(stage: Stage): Promise<void> {
  const { server, port } = await stage.server({ limits: ALL_WELCOME });
  const healthy = await stage.healthy({ port });
  const held = heldMore(server);
  const plan = { where: { port }, times: 1_000, openPayload: "1", credentials: "c".repeat(16_000) };
  const { sessions = 0 } = await stage.attacked(healthy, "abandoned", plan, held);
  // As much as the default of `sessions` reckons with. None of it are credentials.
  const figure = held.bytes / Math.max(1, sessions);
  stage.row({ what: "held for each", figure, bound: SESSION_HEAP_BYTES, unit: "bytes", note: `${sessions} sessions` });
  stage.row({ what: "sessions", figure: sessions, bound: 900, is: "at least", unit: "" });
}

/** 4,200 windows of 256 KiB, less the 4,100 bytes that each is sure of, are the whole budget: 1 GiB. */
async function unconfirmed(stage: Stage): Promise<void> {
  const plan: ServerPlan = { maxMessageBytes: 4_096, limits: ALL_WELCOME };
  const { server, port } = await stage.server(plan);
  const healthy = await stage.healthy({ port });
  let windows: number[] = [];
  const during = async (): Promise<void> => {
    const probe = await stage.healthy({ port });
    await probe.client.call("measure", { windows: 1, windowMs: 300 });
    windows = await server.call("windows", "healthy");
  };
  const { welcome = 0 } = await stage.attacked(healthy, "unconfirmed", { where: { port }, times: 4_200 }, { during });
  const note = `${welcome} of 4,200 unconfirmed opens were welcomed`;
  // The newest is the last.
  stage.row({
    what: "new window",
    figure: windows.at(-1) ?? 0,
    bound: 262_144,
    is: "at least",
    unit: "bytes",
    note,
  });
}

/** A tenth of the default rate, so that a process that shares two cores with the server is far above it. */
async function resumes(stage: Stage, plan: ServerPlan): Promise<void> {
  const resumesPerSecond = 100;
  const { port } = await stage.server({ ...plan, limits: { resumesPerSecond } });
  const healthy = await stage.healthy({ port });
  const counts = await stage.attacked(healthy, "resumes", { where: { port }, times: 10, credentials: "attacker" });
  const { resumes: figure = 0, overloaded = 0, resumed = 0 } = counts;
  const note = `${resumed} admitted, ${overloaded} refused as overloaded`;
  // Longer than it was measured for, it was not under way.
  const bound = 2 * resumesPerSecond * stage.seconds;
  stage.row({ what: "resumes made", figure, bound, is: "at least", unit: "", note });
}

async function opens(stage: Stage): Promise<void> {
  const opensPerSecond = 5;
  const { port } = await stage.server({ limits: { opensPerSecond } });
  const healthy = await stage.healthy({ port });
  const flood = await stage.attacked(healthy, "opens", { where: { port }, times: ENDLESS });
  const { refuse = 0, longestWaitMs = 0 } = flood;
  const note = `${refuse} refused of ${flood["opens"] ?? 0}`;
  stage.row({ what: "told to wait", figure: longestWaitMs, bound: MOST_RETRY_AFTER_MS, unit: "ms", note });
  if (!stage.isTimed) return;
  // When all are over who were told to come back, the flood is not held against the next.
  await sleep(MOST_RETRY_AFTER_MS + 1_000);
  const attacker = stage.attacker();
  await attacker.call("press", { attack: "opens", plan: { where: { port }, times: FIRST_BURST } });
  const burst = await attacker.call("release");
  stage.row({
    what: "told to wait, 31 s later",
    figure: burst["longestWaitMs"] ?? 0,
    // Five are let in at once, the others take their turns; twice that, so that they may be spread.
    bound: (2 * 1_000 * (FIRST_BURST - opensPerSecond)) / opensPerSecond,
    unit: "ms",
    note: `the last of a burst of ${FIRST_BURST}, at ${opensPerSecond} a second`,
  });
}

async function eviction(stage: Stage): Promise<void> {
  const authenticateMs = 2_000;
  const { server, port } = await stage.server({ authenticateMs });
  const healthy = await stage.healthy({ port });
  await server.call("asked");
  const plan = { where: { port }, times: 4_000, credentials: "crowd" };
  const counts = await stage.attacked(healthy, "crowd", plan, { authenticateMs });
  const { admitted = 0, closedUnheard = 0, refused = 0 } = counts;
  const { calls, mostAtOnce } = await server.call("asked");
  stage.row({
    what: "admitted",
    figure: admitted,
    // A call of 2 s must have come to an end for somebody, each second from then on.
    bound: stage.seconds,
    is: "at least",
    unit: "",
    note: `${calls} calls of authenticate(), ${refused} refused`,
  });
  const closed = "connections of clients that had said HELLO, closed without a REFUSE";
  stage.row({ what: "turned away unheard", figure: closedUnheard, bound: 0, unit: "", note: closed });
  stage.row({ what: "calls at once", figure: mostAtOnce, bound: 1_000, unit: "", note: "as many as handshakes" });
}

async function fullHouse(stage: Stage, times: number): Promise<void> {
  const { port } = await stage.server({ limits: { connections: 100 } });
  const healthy = await stage.healthy({ port });
  let tookMs: number[] = [];
  const during = async (): Promise<void> => {
    tookMs = await healthy.client.call("newcomers", 3);
  };
  const attack = times === 100 ? "silent" : "sockets";
  const counts = await stage.attacked(healthy, attack, { where: { port }, times }, { during });
  const { connections = times } = counts;
  stage.row({
    what: "newcomer connects",
    figure: Math.max(...tookMs),
    bound: CONNECTS_WITHIN_MS,
    unit: "ms",
    note: `the slowest of ${tookMs.length}; ${connections} hostile connections`,
  });
}

async function unixPath(stage: Stage): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "resplice-hostile-"));
  const handshakes = 50;
  try {
    const where = { path: path.join(folder, "server"), tls: true };
    await stage.server({ ...where, limits: { handshakes } });
    const healthy = await stage.healthy(where);
    const { open = 0 } = await stage.attacked(healthy, "silent", { where, times: 200 });
    stage.row({ what: "silent sockets", figure: open, bound: handshakes, unit: "", note: "of 200 that were let stay" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function tenants(stage: Stage): Promise<void> {
  const { server, port } = await stage.server({ authenticateMs: 0 });
  const healthy = await stage.healthy({ port });
  await server.call("asked");
  const counts = await stage.attacked(
    healthy,
    "tenants",
    { where: { port }, times: 50, credentials: "client" },
    { isOver: true },
  );
  const { openPayloads } = await server.call("asked");
  const said = (name: string): string =>
    Object.entries(counts)
      .filter(([what]) => what.startsWith(`${name}:`))
      .map(([what, times]) => `${what.slice(name.length + 2)} ${times}`)
      .join(", ");
  const served = counts["withFallback: resumed"] ?? 0;
  // authenticate() has been shown tenant-b, and tenant-a's session is what was given.
  stage.row({
    what: "authorised for another",
    figure: openPayloads["tenant-b"] ?? 0,
    bound: 0,
    unit: "",
    note: `calls that were shown tenant-b; without a fallback: ${said("withoutFallback")}`,
  });
  stage.row({
    what: "resumed with a fallback",
    figure: served,
    bound: 0,
    unit: "",
    note: `answered: ${said("withFallback")}`,
  });
  stage.row({
    what: "asked of a standby",
    figure: openPayloads[""] ?? 0,
    bound: 0,
    unit: "",
    note: `calls that were shown its empty payload; answered: ${said("standby")}`,
  });
  stage.row({
    what: "asked without a proof",
    figure: openPayloads["tenant-c"] ?? 0,
    bound: 0,
    unit: "",
    note: `answered: ${said("unproven")}`,
  });
}

async function verdicts(stage: Stage): Promise<void> {
  const { server, port } = await stage.server({ authenticateMs: 0 });
  for (const what of Object.keys(NO_VERDICTS) as Array<keyof typeof NO_VERDICTS>) {
    const healthy = await stage.healthy({ port });
    await server.call("answerOnce", what);
    const backMs = await healthy.cutAndBack();
    // The mistake costs one attempt: 1 s that the server asks for, and the next.
    stage.row({ what: `back after ${what}`, figure: backMs, bound: 2_000, unit: "ms" });
  }
}
