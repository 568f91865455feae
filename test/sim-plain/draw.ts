/** A world as data: what a seed draws, and what can be made simpler. */
import { seeded } from "../../src/testing/random.ts";

export type Protocol = "silent" | "proven" | "in-order" | "by-id";

export interface WorldOptions {
  protocol: Protocol;
  /** The framing gives other bytes than the message's own; messages may be written in parts. */
  hasLargeMessages: boolean;
  hasLogin: boolean;
  resendInFlight: boolean;
  inDoubtBytes: number;
  windowBytes: number;
  maxInFlight: number;
  /** How many bytes the network holds, and the smallest block. */
  kernelBytes: number;
  blockBytes: number;
  messages: number;
  /** The longest pause between two messages, between two looks of the consumer, and before an answer. */
  sendEveryMs: number;
  readEveryMs: number;
  answerWithinMs: number;
  pingAfterMs: number;
  idleCloseMs: number;
  maxConnectionAgeMs: number;
  /** The server says something on its own with each so manieth message; 0: never. */
  pushEach: number;
  latencyMs: number;
  /** The part of the messages that is for one connection alone. */
  bound: number;
  /** The server is the product's own. */
  isServed: boolean;
}

export const FAULTS = [
  "cut",
  "cut-after",
  "cut-here",
  "fin",
  "fin-in-a-line",
  "stall",
  "silence",
  "slow-server",
  "slow-answers",
  "poison",
  "late-refusal",
  "refuse",
  "asleep",
] as const;

export interface Fault {
  kind: (typeof FAULTS)[number];
  atMs: number;
  /** Bytes of a "cut-after"; milliseconds of what lasts. */
  amount: number;
}

export interface Schedule {
  seed: number;
  options: WorldOptions;
  faults: Fault[];
}

export function draw(seed: number): Schedule {
  const random = seeded(Math.imul(seed, 0x9e3779b1));
  const below = (most: number): number => Math.floor(random() * most);
  const pick = <T>(...choices: T[]): T => choices[below(choices.length)] as T;
  const options: WorldOptions = {
    protocol: pick("silent", "proven", "in-order", "by-id"),
    hasLargeMessages: random() < 0.3,
    hasLogin: random() < 0.4,
    resendInFlight: random() < 0.3,
    inDoubtBytes: pick(150, 1_000, 1_000_000),
    windowBytes: pick(30, 300, 100_000),
    maxInFlight: pick(1, 3, 100),
    kernelBytes: pick(7, 100, 2_000, 65_536),
    blockBytes: pick(64, 512, 4_096),
    messages: 5 + below(60),
    sendEveryMs: pick(0, 5, 50),
    readEveryMs: pick(1, 20, 200),
    answerWithinMs: pick(0, 10, 200),
    pingAfterMs: pick(0, 50, 1_000),
    idleCloseMs: pick(Infinity, Infinity, 20, 300),
    maxConnectionAgeMs: pick(Infinity, Infinity, 50, 1_000),
    pushEach: pick(0, 0, 1, 5),
    latencyMs: pick(0, 1, 20),
    bound: pick(0, 0, 0.2, 1),
    isServed: random() < 0.4,
  };
  const spanMs = 200 + options.messages * options.sendEveryMs;
  const faults = Array.from({ length: below(6) }, () => ({
    kind: pick(...FAULTS),
    atMs: below(spanMs),
    amount: pick(1 + below(20), 1 + below(300), 1 + below(4_000)),
  }));
  return { seed, options, faults: faults.toSorted((a, b) => a.atMs - b.atMs) };
}

/** Simpler schedules, the simplest first. */
export function simpler({ seed, options, faults }: Schedule): Schedule[] {
  const changed = (over: Partial<WorldOptions>): Schedule => ({ seed, options: { ...options, ...over }, faults });
  const fewer = faults.map((_, n) => ({ seed, options, faults: faults.toSpliced(n, 1) }));
  const plainer: Array<Partial<WorldOptions>> = [
    { messages: Math.floor(options.messages / 2) },
    { messages: options.messages - 1 },
    { hasLogin: false },
    { hasLargeMessages: false },
    { resendInFlight: false },
    { pushEach: 0 },
    { idleCloseMs: Infinity },
    { maxConnectionAgeMs: Infinity },
    { pingAfterMs: 0 },
    { inDoubtBytes: 1_000_000 },
    { windowBytes: 100_000 },
    { maxInFlight: 100 },
    { kernelBytes: 65_536 },
    { blockBytes: 4_096 },
    { answerWithinMs: 0 },
    { latencyMs: 0 },
    { bound: 0 },
    { isServed: false },
  ];
  const differs = (over: Partial<WorldOptions>): boolean =>
    Object.entries(over).some(([name, value]) => options[name as keyof WorldOptions] !== value && value !== -1);
  return [...fewer, ...plainer.filter(differs).map(changed)];
}
