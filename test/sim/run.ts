/** One seed: options and faults are drawn from it, the world runs, heals, and must come to rest with nothing wrong. */
import { ENDING, type FaultKind, LOSING, LOSSLESS, disturb } from "./faults.ts";
import { seeded } from "./random.ts";
import { type End, Violation, World, type WorldOptions } from "./world.ts";

export interface SeedResult {
  counts: Map<string, number>;
  trace: string[];
}

export function runSeed(seed: number): SeedResult {
  const { options, kinds, faults, pauseMs } = draw(seed);
  const world = new World(options);
  try {
    disturb(world, kinds, faults, pauseMs);
    world.heal();
    const rest = (): boolean => world.client.core.gone && world.servers.every(({ core, ends }) => ends.size === 0 && core.sessions === 0);
    const consumerMs = 2 * (options.consumerMs ?? 0) * ((options.messages?.client ?? 0) + (options.messages?.server ?? 0));
    world.runUntil(rest, 2 * world.options.resumeForMs + consumerMs + 200_000, "at rest after the faults");
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
  const kinds: FaultKind[] = LOSSLESS.filter(() => random() < 0.5);
  if (losing) kinds.push(...LOSING.filter(() => random() < 0.7));
  if (random() < 0.1) kinds.push(...ENDING);
  if (kinds.length === 0) kinds.push("cut");
  const payloadBytes = pick([4, 40, 200, 1_000]);
  const smallest = payloadBytes + 4;
  const options: Partial<WorldOptions> = {
    seed,
    mode,
    servers: losing ? 2 : 1,
    whenSessionLost: pick(["report", "report", "resend", "end"] as const),
    maxMessageBytes: { client: pick([1_000, 2_000]), server: pick([1_000, 2_000]) },
    window: { minBytes: pick([smallest, 1_100, 4_096]), maxBytes: pick([4_096, 65_536]) },
    queue: pick([
      { maxMessages: 1, maxBytes: 2_100 },
      { maxMessages: 10, maxBytes: 4_096 },
      { maxMessages: 1_000, maxBytes: 1_000_000 },
    ]),
    budgetBytes: pick([0, 10_000, 1_000_000]),
    kernelBytes: pick([64, 1_000, 100_000]),
    pingAfterMs: pick([100, 1_000, 5_000]),
    suspectAfterMs: pick([50, 500, 2_000]),
    resumeForMs: pick([4_000, 60_000]),
    handshakeMs: pick([10_000, 60_000]),
    authenticateMs: pick([0, 0, 500]),
    messages: { client: pick([0, 1, 20, 100]), server: pick([0, 1, 20, 100]) },
    payloadBytes,
    // A byte stream comes in many small chunks.
    consumerMs: mode === "bytes" ? pick([0, 0.1]) : pick([0, 0, 1, 20]),
    ends: pick([
      { client: true, server: true },
      { client: true, server: false },
      { client: false, server: true },
    ]),
  };
  return { options, kinds, faults: 2 + Math.floor(random() * 20), pauseMs: pick([5, 50, 500]) };
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
  if (client.end.outcome === undefined) violation("the client was told no outcome");
  const [only] = links;
  const quiet = !kinds.some((kind) => kind === "abort" || kind === "close");
  const resumable = links.length === 1 && !world.counts.has("client replaced") && client.end.outcome === "closed" && only?.outcome === "closed";
  if (resumable && quiet) {
    checkExactly(client.end, only, world);
    checkExactly(only, client.end, world);
  }
  // The client's messages, over all sessions it had.
  if (world.options.mode === "bytes") return;
  const handed = new Map<number, number>();
  for (const link of links) for (const number of link.handed) handed.set(number, (handed.get(number) ?? 0) + 1);
  const reported = new Map(client.end.reported.map(({ number, delivery }) => [number, delivery]));
  if (reported.size !== client.end.reported.length) violation("a message was reported twice");
  for (let number = 0; number < client.end.taken; number++) {
    const times = handed.get(number) ?? 0;
    const report = reported.get(number);
    if (times > 1 && world.options.whenSessionLost !== "resend") violation(`message ${number} was handed out ${times} times`);
    if (times > 0 && report === "not-sent") violation(`message ${number} was handed out, and reported as not sent`);
    if (times === 0 && report === undefined) violation(`message ${number} vanished; ${world.describe()}`);
  }
}

function checkExactly(from: End, to: End, world: World): void {
  if (from.reported.length > 0) violation(`${from.name} reported ${from.reported.length} messages of a link that closed`);
  if (!from.allTaken) violation(`${from.name} could send only ${from.taken}`);
  if (world.options.mode === "bytes") {
    if (to.bytesHanded !== from.bytesTaken) violation(`${to.name} got ${to.bytesHanded} of ${from.bytesTaken} bytes`);
  } else if (to.handed.length !== from.taken) {
    violation(`${to.name} got ${to.handed.length} of ${from.taken} messages`);
  }
}
