/** What a seed stands for. Each draws which kinds of faults are on, and its options down to the smallest legal ones. */
import { type Fault, FAULT_KINDS, type FaultKind, kindsOf, parametersOf } from "./fault-kinds.ts";
import type { WorldOptions } from "./options.ts";
import { round } from "./parameters.ts";
import { pick, type Random, streamOf } from "./random.ts";
import type { Schedule } from "./schedule.ts";

/** A session that waits so long outlasts any fault here. */
const PATIENT_MS = 3_600_000;
/** And one that nobody has confirmed: who slept for 15 s while it was let in trusts a silent path for 50 s. */
const PATIENT_HANDSHAKE_MS = 80_000;

/** Nothing is lost because somebody waited too short a time. */
export function isPatient({ resumeForMs, handshakeMs }: WorldOptions): boolean {
  return resumeForMs >= PATIENT_MS && handshakeMs >= PATIENT_HANDSHAKE_MS;
}

export function draw(seed: number): Schedule {
  const random = streamOf(seed, "draw");
  const { kinds, ...what } = drawKinds(random);
  const pauseMs = pick(random, [5, 20, 100, 300, 300, 1_000]);
  const faults = drawFaults(random, kinds, pauseMs);
  const options = drawOptions(random, what, pauseMs * faults.length);
  const policy = drawPolicy(streamOf(seed, "policy"), options.mode);
  const withForward = drawForward(streamOf(seed, "forward"), options);
  const pings = drawPings(streamOf(seed, "ping"), pauseMs * faults.length);
  return {
    seed,
    options: { ...options, policy, ...withForward },
    faults: [...faults, ...pings].toSorted((a, b) => a.atMs - b.atMs),
  };
}

/** Also from a stream of its own. `forMs`: so long there are other faults. */
function drawPings(random: Random, forMs: number): Fault[] {
  const number = pick(random, [0, 0, 0, 1, 2, 10]);
  return Array.from({ length: number }, () => drawFault(random, PING, round(forMs * random())));
}

/** Also from a stream of its own. */
function drawForward(
  random: Random,
  { commitMs, servers }: Pick<WorldOptions, "commitMs" | "servers">,
): Pick<WorldOptions, "forward" | "servers"> {
  const isOn = random() < 0.3 && commitMs === 0;
  const unreachable = pick(random, [0, 0.02, 0.3]);
  if (!isOn) return { servers, forward: { isOn, unreachable: 0 } };
  return { servers: Math.max(servers, pick(random, [2, 2, 3])), forward: { isOn, unreachable } };
}

/** From a stream of its own: what else a seed stands for was there before. */
function drawPolicy(random: Random, mode: WorldOptions["mode"]): WorldOptions["policy"] {
  const overflows = ["none", "none", "none", "none", "wait", "drop-oldest", "drop-newest", "conflate"] as const;
  const overflow = pick(random, overflows);
  return {
    overflow: mode === "bytes" ? "none" : overflow,
    maxMessages: pick(random, [1, 5, 1_000]),
    ttlMs: pick(random, [0, 0, 20, 1_000]),
    classes: pick(random, [1, 1, 2, 3]),
    keys: pick(random, [1, 2, 10]),
  };
}

const PING: FaultKind = "ping";

/** `drawPings()` draws the others. */
function isDrawnHere(kind: FaultKind): boolean {
  return kind !== PING;
}

interface Kinds {
  /** Servers come and go, and have a store. */
  isStored: boolean;
  kinds: FaultKind[];
  isMoving: boolean;
  isLosing: boolean;
}

/** A few at a time: where all are on, they hide each other's consequences. */
function drawKinds(random: Random): Kinds {
  if (random() < 0.03)
    return { kinds: FAULT_KINDS.filter(isDrawnHere), isStored: random() < 0.5, isMoving: true, isLosing: true };
  const lossless = kindsOf("lossless").filter(isDrawnHere);
  const kinds = Array.from({ length: 1 + Math.floor(4 * random()) }, () => pick(random, lossless));
  if (random() < 0.5) kinds.push("trap", "trap");
  if (random() < 0.2) kinds.push("silence after speech", "silence after speech");
  const isMoving = random() < 0.3;
  // Several a run: each has its phases, and the other faults fall into them.
  if (isMoving) kinds.push("move", "move", "move", "trap");
  const isStored = random() < 0.3;
  if (isStored) kinds.push("restart", "route", pick(random, ["restart", "route"]), "half-close");
  const isLosing = random() < 0.35;
  if (isLosing) kinds.push(...some(random, [...kindsOf("losing"), "forgery", "forgery"] as const));
  if (random() < (isMoving || isLosing ? 0.5 : 0.15))
    kinds.push(...some(random, [...kindsOf("ending"), "reset", "reset", "close"] as const));
  if (random() < 0.2) kinds.push("shed", "shed", "shed");
  if (random() < 0.2) kinds.push("protection", "forget", "forget", "forget", "hopeless", "shed");
  // What one end tells the other so is rare, else.
  if (random() < 0.1) kinds.push("reset", "reset", "reset", "close", "close", "trap", "swallow");
  return { kinds, isStored, isMoving, isLosing };
}

function some<T>(random: Random, choices: readonly T[]): T[] {
  const share = random();
  return choices.filter(() => random() < share);
}

/** `forMs`: so long there are faults. What would only take long to simulate is left out: much in small pieces, say. */
function drawOptions(
  random: Random,
  { isStored, isMoving, isLosing }: Omit<Kinds, "kinds">,
  forMs: number,
): Omit<WorldOptions, "policy" | "forward"> {
  const mode = pick(random, ["messages", "messages", "messages", "bytes"] as const);
  const clients = pick(random, [1, 1, 1, 1, 2, 3, 4]);
  const kernelBytes = pick(random, [64, 1_000, 100_000]);
  const payloadBytes = pick(random, kernelBytes === 64 ? [4, 40, 200] : [4, 40, 200, 1_000, 1_500]);
  const least = payloadBytes;
  const maxMessageBytes = {
    client: pick(random, [least, 1_000, 2_000]),
    server: pick(random, [least, 1_000, 2_000]),
  };
  const largest = Math.max(maxMessageBytes.client, maxMessageBytes.server) + 4;
  const lag = mode === "bytes" ? 0 : pick(random, [0, 0, 1, 20]);
  const floor = largest + lag * (payloadBytes + 4);
  const burst = pick(random, [1, 5, 20]);
  const most = clients > 2 ? [0, 1, 10] : payloadBytes > 200 ? [0, 1, 40] : [0, 1, 20, 100];
  const messages = { client: pick(random, most), server: pick(random, most) };
  const perBurst = Math.max(messages.client, messages.server, 1) / burst;
  return {
    mode,
    clients,
    servers: isStored || isLosing || isMoving ? pick(random, [2, 2, 3]) : pick(random, [1, 1, 1, 2]),
    whenSessionLost: pick(random, ["report", "report", "resend", "end"] as const),
    maxMessageBytes,
    window: pick(random, [
      { minBytes: floor, maxBytes: floor },
      { minBytes: 1_100, maxBytes: Math.max(4_096, floor) },
      { minBytes: 4_096, maxBytes: 65_536 },
    ]),
    queue: pick(random, [
      { maxMessages: 1, maxBytes: Math.max(largest, payloadBytes + 4) },
      { maxMessages: 10, maxBytes: 4_096 },
      { maxMessages: 1_000, maxBytes: 1_000_000 },
    ]),
    budgetBytes: pick(random, [0, 10_000, 1_000_000]),
    blockBytes: pick(random, [64, 1_024, 65_536]),
    ackDelayMs: pick(random, [0, 1, 25, 200]),
    kernelBytes,
    slackBytes: pick(random, [0, 0, 300, 16_384]),
    // What the kernel takes is all that is under way: on a long path a small one would be a very slow one.
    latencyMs: kernelBytes === 64 ? 1 : pick(random, [1, 30, 300]),
    pingAfterMs: pick(random, [forMs > 3_000 ? 50 : 5, 100, 1_000, 5_000]),
    suspectAfterMs: pick(random, [10, 50, 500, 2_000]),
    resumeForMs: pick(random, [4_000, 4_000, PATIENT_MS, PATIENT_MS, PATIENT_MS]),
    handshakeMs: pick(random, [10_000, PATIENT_HANDSHAKE_MS, PATIENT_HANDSHAKE_MS]),
    authenticateMs: pick(random, [0, 0, 500]),
    shares: {
      unavailable: pick(random, [0, 0.02, 0.2]),
      overloaded: pick(random, [0, 0.02, 0.2]),
      forgetful: pick(random, [0, 0.3, 1]),
    },
    commitMs: isStored ? pick(random, [1, 20, 200]) : pick(random, [0, 0, 0, 20]),
    sharesStore: isStored && random() < 0.6,
    messages,
    payloadBytes,
    // There is to be something under way when a fault comes.
    thinkMs: pick(random, [0, 10, round(forMs / perBurst), round(forMs / perBurst)]),
    burst,
    // A byte stream comes in many small chunks.
    consumerMs: mode === "bytes" ? pick(random, [0, 0.1]) : pick(random, [0, 0, 1, 20]),
    lag,
    ends: pick(random, [
      { client: true, server: true },
      { client: true, server: false },
      { client: false, server: true },
    ]),
    staysOpen: random() < (isMoving ? 0.95 : isStored ? 0.4 : 0.8),
    room: drawRoom(random, clients),
  };
}

function drawRoom(random: Random, clients: number): WorldOptions["room"] {
  return {
    connections: pick(random, [1, clients, clients + 1, 400, 400]),
    handshakes: pick(random, [1, 2, 5, 20]),
    authenticating: pick(random, [1, 4, 100]),
    perSecond: pick(random, [1, 10, 1_000]),
    sessions: pick(random, [1, clients, clients + 1, 50, 50, 50]),
    perIdentity: pick(random, [1, 1, 2, 20, 20]),
    perAddress: pick(random, [1, 2, 400, 400]),
  };
}

function drawFaults(random: Random, kinds: readonly FaultKind[], pauseMs: number): Fault[] {
  const number = 2 + Math.floor(random() * 20);
  let atMs = random() < 0.3 ? 0 : 2 * pauseMs * random();
  const faults = Array.from({ length: number }, () => {
    const fault = drawFault(random, pick(random, kinds), atMs);
    atMs += 2 * pauseMs * random();
    return fault;
  });
  return faults.toSorted((a, b) => a.atMs - b.atMs);
}

function drawFault(random: Random, kind: FaultKind, atMs: number): Fault {
  const given = Object.fromEntries(parametersOf(kind).map(([name, parameter]) => [name, parameter.draw(random)]));
  // What waits is laid before what it waits for, most of which happens early.
  const waits = kind === "trap" || kind === "silence after speech" || ("when" in given && given["when"] !== "now");
  const early = waits ? random() ** 2 : 1;
  return { atMs: round(early * atMs), kind, ...given, seed: Math.floor(random() * 2 ** 32) } as Fault;
}
