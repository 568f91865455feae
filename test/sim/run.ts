/** One seed: options and faults are drawn from it, the world runs, heals, and must come to rest with nothing wrong. */
import { type End, payloadSize } from "./end.ts";
import { disturb, ENDING, type FaultKind, LOSING, LOSSLESS, MOVING } from "./faults.ts";
import { seeded } from "../../src/testing/random.ts";
import { Violation, type WorldOptions } from "./stage.ts";
import { World } from "./world.ts";

export interface SeedResult {
  counts: Map<string, number>;
  trace: string[];
}

/** After the faults both applications hear how it ended within this, the time that they take themselves apart. */
const HEALED_WITHIN_MS = 120_000;
/** A connection that brings nothing is closed by the server after two minutes. */
const AT_REST_WITHIN_MS = 200_000;
/** A session that waits so long outlasts any fault here. */
const PATIENT_MS = 3_600_000;
/** And a session that nobody has confirmed, one that lasts so long. */
const PATIENT_HANDSHAKE_MS = 60_000;

export function runSeed(seed: number): SeedResult {
  const { options, kinds, faults, pauseMs } = draw(seed);
  const world = new World(options);
  try {
    disturb(world, kinds, faults, pauseMs);
    world.heal();
    const { consumerMs, latencyMs, messages, resumeForMs, handshakeMs } = world.options;
    // With the smallest windows each message takes a round trip or two.
    const ownMs = (2 * consumerMs + 8 * latencyMs) * (messages.client + messages.server);
    world.runUntil(() => world.client.end.outcome !== undefined, ownMs + HEALED_WITHIN_MS, "ended after the faults");
    const rest = (): boolean =>
      world.client.core.gone &&
      world.servers.every(({ core }) => core.sessions + core.handshakes + core.attached === 0);
    world.runUntil(rest, 2 * resumeForMs + handshakeMs + ownMs + AT_REST_WITHIN_MS, "at rest after the faults");
    checkAccounts(world, kinds);
  } catch (error) {
    if (error instanceof Error) {
      error.message =
        `seed ${seed}: ${error.message}\nreplay: SIM_SEED=${seed} npm run test:sim\n` +
        `options ${JSON.stringify(options)} faults ${kinds.join(", ")}\n${world.trace.slice(-60).join("\n")}`;
    }
    throw error;
  }
  return { counts: world.counts, trace: world.trace };
}

/** Each seed draws which faults are on, and its options down to the smallest legal ones. */
function draw(seed: number): { options: Partial<WorldOptions>; kinds: FaultKind[]; faults: number; pauseMs: number } {
  const random = seeded(seed ^ 0x5eed);
  const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
  const mode = pick(["messages", "messages", "messages", "bytes"] as const);
  const losing = random() < 0.3;
  // A few kinds at a time: where all are on, they hide each other's consequences.
  const kinds = Array.from({ length: 1 + Math.floor(4 * random()) }, (): FaultKind => pick(LOSSLESS));
  const moving = random() < 0.5;
  // Several a run: each has its phases, and the other faults fall into them.
  if (moving) kinds.push(...MOVING, ...MOVING, ...MOVING);
  if (losing) kinds.push(...LOSING.filter(() => random() < 0.7));
  if (random() < (moving ? 0.5 : 0.15)) kinds.push(...ENDING);
  const payloadBytes = pick([4, 40, 200, 1_000, 1_500]);
  const kernelBytes = pick([64, 1_000, 100_000]);
  const options: Partial<WorldOptions> = {
    seed,
    mode,
    servers: losing || moving ? 2 : 1,
    whenSessionLost: pick(["report", "report", "resend", "end"] as const),
    maxMessageBytes: { client: pick([1_000, 2_000]), server: pick([1_000, 2_000]) },
    window: { minBytes: pick([payloadBytes + 4, 1_100, 4_096]), maxBytes: pick([4_096, 65_536]) },
    queue: pick([
      { maxMessages: 1, maxBytes: 2_100 },
      { maxMessages: 10, maxBytes: 4_096 },
      { maxMessages: 1_000, maxBytes: 1_000_000 },
    ]),
    budgetBytes: pick([0, 10_000, 1_000_000]),
    kernelBytes,
    // What the kernel takes is all that is under way: on a long path a small one would be a very slow one.
    latencyMs: kernelBytes === 64 ? 1 : pick([1, 30, 300]),
    pingAfterMs: pick([100, 1_000, 5_000]),
    suspectAfterMs: pick([50, 500, 2_000]),
    resumeForMs: pick([4_000, PATIENT_MS]),
    handshakeMs: pick([10_000, PATIENT_HANDSHAKE_MS]),
    authenticateMs: pick([0, 0, 500]),
    messages: { client: pick([0, 1, 20, 100]), server: pick([0, 1, 20, 100]) },
    payloadBytes,
    thinkMs: pick([0, 10, 100]),
    // A byte stream comes in many small chunks.
    consumerMs: mode === "bytes" ? pick([0, 0.1]) : pick([0, 0, 1, 20]),
    lag: mode === "bytes" ? 0 : pick([0, 0, 1, 20]),
    ends: pick([
      { client: true, server: true },
      { client: true, server: false },
      { client: false, server: true },
    ]),
    staysOpen: random() < (moving ? 0.95 : 0.8),
  };
  return { options, kinds, faults: 2 + Math.floor(random() * 20), pauseMs: pick([20, 300, 1_000, 3_000]) };
}

function violation(what: string): never {
  throw new Violation(what);
}

/** Every message taken is accounted for: handed out, or reported. */
function checkAccounts(world: World, kinds: readonly FaultKind[]): void {
  const { client } = world;
  const links = world.servers.flatMap(({ allEnds }) => allEnds);
  if (world.windowBudget.taken !== 0 || world.logBudget.taken !== 0) {
    violation(`the budgets leak: ${world.windowBudget.taken} and ${world.logBudget.taken} bytes`);
  }
  const [only] = links;
  const isPatient = world.options.resumeForMs === PATIENT_MS && world.options.handshakeMs === PATIENT_HANDSHAKE_MS;
  const lossless = kinds.every((kind) => LOSSLESS.some((one) => one === kind));
  const moved = !lossless && kinds.every((kind) => [...LOSSLESS, ...MOVING].some((one) => one === kind));
  if (moved && isPatient && world.options.mode === "messages") checkMoved(client.end, links, world);
  if (lossless && isPatient) {
    if (links.length !== 1) violation(`${links.length} links where one would do`);
    if (client.end.outcome !== "closed") violation(`the client ended ${client.end.outcome}`);
    checkExactly(client.end, only as End, world);
    checkExactly(only as End, client.end, world);
  }
  // The client's messages, over all sessions it had.
  if (world.options.mode === "bytes") return;
  const handed = new Map<number, number>();
  for (const link of links) for (const number of link.handed) handed.set(number, (handed.get(number) ?? 0) + 1);
  const reported = new Map(client.end.reported.map(({ number, delivery }) => [number, delivery]));
  if (reported.size !== client.end.reported.length) violation("a message was reported twice");
  const resends = world.options.whenSessionLost === "resend";
  for (let number = 0; number < client.end.taken; number++) {
    const times = handed.get(number) ?? 0;
    const report = reported.get(number);
    if (times > 1 && !resends) violation(`message ${number} was handed out ${times} times`);
    if (times > 0 && report === "not-sent") violation(`message ${number} was handed out, and reported as not sent`);
    if (times === 0 && report === undefined && !client.end.tooLarge.has(number)) {
      violation(`message ${number} vanished; ${world.describe()}`);
    }
  }
}

/** Over all the sessions that it moved through: exactly once and in order, and nothing in doubt, either way. */
function checkMoved(client: End, links: readonly End[], world: World): void {
  const { maxMessageBytes, payloadBytes } = world.options;
  const limit = Math.min(maxMessageBytes.client, maxMessageBytes.server);
  if (client.outcome !== "closed") violation(`the client ended ${client.outcome}`);
  // The server's application ended by itself while the client was about to go on elsewhere: what waited for that stays.
  const endedMeanwhile = client.core.session.sender.endKind === "moved";
  const inOrder = links.toSorted((a, b) => a.ordinal - b.ordinal);
  for (const link of inOrder) if (link.outcome !== "closed") violation(`${link.name} ended ${link.outcome}`);
  for (const end of [client, ...inOrder]) {
    const doubtful = end.reported.filter(
      ({ number, delivery }) =>
        payloadSize(number, payloadBytes) <= limit && !(endedMeanwhile && delivery === "not-sent"),
    );
    if (doubtful.length > 0) violation(`${end.name} reported ${JSON.stringify(doubtful)} of a link that moved`);
  }
  const sentBy = (end: End): number[] => {
    const reported = new Set(end.reported.map(({ number }) => number));
    const taken = Array.from({ length: end.taken }, (_, number) => number);
    return taken.filter((number) => payloadSize(number, payloadBytes) <= limit && !reported.has(number));
  };
  const up = inOrder.flatMap(({ handed }) => handed);
  if (up.join() !== sentBy(client).join()) violation(`the servers got ${up.join()} of ${client.taken}`);
  const down = inOrder.flatMap(sentBy);
  if (client.handed.join() !== down.join()) violation(`the client got ${client.handed.join()}, not ${down.join()}`);
}

/** Exactly once and in order: `End` has checked the order. */
function checkExactly(from: End, to: End, world: World): void {
  if (from.outcome !== "closed") violation(`${from.name} ended ${from.outcome}`);
  if (!from.allTaken) violation(`${from.name} could send only ${from.taken}`);
  if (world.options.mode === "bytes") {
    if (to.bytesHanded !== from.bytesTaken) violation(`${to.name} got ${to.bytesHanded} of ${from.bytesTaken} bytes`);
    return;
  }
  // The server's limit was not known when these were taken.
  const limit = Math.min(world.options.maxMessageBytes.client, world.options.maxMessageBytes.server);
  if (world.options.payloadBytes <= limit && from.reported.length > 0) {
    violation(`${from.name} reported ${from.reported.length} messages of a link that closed`);
  }
  const sent = from.taken - from.tooLarge.size - from.reported.length;
  if (to.handed.length !== sent) violation(`${to.name} got ${to.handed.length} of ${sent} messages`);
}
