/** The options of a link's queue: their meaning, their defaults, their check, and what one message may say. */
import type { ClassLimits } from "../core/queue/classes.ts";
import type { Overflow, PolicyLimits } from "../core/queue/policy-queue.ts";
import { checkOptions, group, integer, MOST_MS, oneOf, text } from "./check.ts";
import { invalidOption, type RespliceError } from "./errors.ts";
import type { ClearOptions, TrySendOptions } from "./types.ts";

/**
 * Limits the messages that wait to be sent for the first time. Size it as your rate times the outage to survive. When
 * the queue is full, send() waits and trySend() answers false, unless `overflow` says something else. With any option
 * besides `maxMessages` and `maxBytes` the queue has a policy: see docs/queue.md. Not in mode "bytes".
 */
export interface QueueOptions {
  /** Default 10,000. */
  maxMessages?: number;
  /** Default 16 MiB, for each link: too much on a server with many links. It must hold at least one message. */
  maxBytes?: number;
  /**
   * For a message for which there is no room. Default "wait". "drop-oldest": the oldest message gives way.
   * "drop-newest": the new one is dropped. "conflate": a message replaces the one that waits with the same `key`, in
   * its place; without room the oldest gives way. Danger: what is dropped is only counted if nobody hears
   * 'undelivered'.
   */
  overflow?: Overflow;
  /**
   * A message that has waited for so many milliseconds is dropped. Default Infinity; given as that, messages may have a
   * `ttlMs` of their own. The time that the machine sleeps counts.
   */
  ttlMs?: number;
  /** Default "queue". "fail": sends fail with NOT_CONNECTED. `failAfterMs`: they wait for so long, then fail. */
  whileDisconnected?: "queue" | "fail" | { failAfterMs: number };
  /** Classes of messages, the most urgent first, at most 8. A message that names none is of the last one. */
  priorities?: readonly PriorityOptions[];
}

/** Each class has room of its own, so that a full one does not block the others. */
export interface PriorityOptions {
  /** For `send(m, { priority })`. */
  name: string;
  /**
   * How many KiB the class may send in a round, while others wait too: 1 to 100,000. Default four times as much as the
   * next lower class, and 1 for the lowest.
   */
  weight?: number;
  /** Default: an equal part of the queue's. */
  maxMessages?: number;
  /** Default: an equal part of the queue's, and at least one message. */
  maxBytes?: number;
}

/** The policy of a queue that has one. */
export interface QueuePolicy extends PolicyLimits {
  readonly ttlMs: number;
  /** Of the classes, as `classes` has them; empty without `priorities`. */
  readonly names: readonly string[];
  /** Infinity: messages wait for a connection for as long as it takes. */
  readonly failAfterMs: number;
}

export interface ResolvedQueue {
  maxMessages: number;
  maxBytes: number;
  policy: QueuePolicy | undefined;
}

/** The options of a message that the policy looks at. */
export interface PolicyTerms {
  readonly priority: number;
  readonly key: string | undefined;
  readonly ttlMs: number;
}

const OVERFLOWS: readonly Overflow[] = ["wait", "drop-oldest", "drop-newest", "conflate"];
const MOST_CLASSES = 8;
const MOST_WEIGHT = 100_000;
/** In UTF-16 units. A key is kept as long as its message waits. */
const MOST_KEY_LENGTH = 256;
const WEIGHT_STEP = 4;

/** Answers undefined if nothing of a policy is given. */
export function resolvePolicy(
  given: QueueOptions,
  { maxMessages, maxBytes }: Pick<ResolvedQueue, "maxMessages" | "maxBytes">,
  maxMessageBytes: number,
): QueuePolicy | undefined {
  const { overflow, ttlMs, whileDisconnected, priorities } = given;
  const resolved = {
    overflow: oneOf("queue.overflow", overflow ?? "wait", OVERFLOWS),
    ttlMs: ttlMs === undefined ? Infinity : milliseconds("queue.ttlMs", ttlMs),
    failAfterMs: failAfterMs(whileDisconnected ?? "queue"),
  };
  const hasPolicy =
    resolved.overflow !== "wait" || ttlMs !== undefined || resolved.failAfterMs < Infinity || priorities !== undefined;
  if (!hasPolicy) return undefined;
  const classes =
    priorities === undefined
      ? [{ name: "", weight: 1, maxMessages, maxBytes }]
      : resolveClasses(priorities, maxMessages, maxBytes, maxMessageBytes);
  return {
    ...resolved,
    maxMessages,
    maxBytes,
    classes,
    names: priorities === undefined ? [] : classes.map(({ name }) => name),
  };
}

function milliseconds(name: string, value: number): number {
  return value === Infinity ? value : integer(name, value, 1, MOST_MS);
}

function failAfterMs(given: "queue" | "fail" | { failAfterMs: number }): number {
  const name = "queue.whileDisconnected";
  if (typeof given !== "object") {
    return oneOf(name, given, ["queue", "fail"]) === "queue" ? Infinity : 0;
  }
  const { failAfterMs: afterMs } = group(name, given, ["failAfterMs"]);
  return integer(`${name}.failAfterMs`, afterMs, 1, MOST_MS);
}

/** Before each message the log has its length. */
const PREFIX_BYTES = 4;

/** The least `maxBytes` of a queue: one message. */
export function queueFloorBytes(maxMessageBytes: number): number {
  return maxMessageBytes + PREFIX_BYTES;
}

/** Throws where a queue, or a class of it, could hold no message of the largest size. */
export function checkHoldsMessage(name: string, maxBytes: number, maxMessageBytes: number): number {
  const least = queueFloorBytes(maxMessageBytes);
  if (maxBytes >= least) return maxBytes;
  const why = `one message of maxMessageBytes (${maxMessageBytes}) and ${PREFIX_BYTES} bytes before it`;
  throw invalidOption(name, maxBytes, `at least ${least}: ${why}. Or set a smaller maxMessageBytes`);
}

type NamedClass = ClassLimits & { readonly name: string };

function resolveClasses(
  given: readonly PriorityOptions[],
  maxMessages: number,
  maxBytes: number,
  maxMessageBytes: number,
): NamedClass[] {
  const option = "queue.priorities";
  const leastBytes = queueFloorBytes(maxMessageBytes);
  if (!Array.isArray(given) || given.length === 0 || given.length > MOST_CLASSES) {
    throw invalidOption(option, given, `an array of 1 to ${MOST_CLASSES} classes`);
  }
  const classes = given.map((each, at): NamedClass => {
    const name = `${option}[${at}]`;
    const one = group(name, each, ["name", "weight", "maxMessages", "maxBytes"]);
    const lower = given.length - 1 - at;
    const share = (all: number): number => Math.floor(all / given.length);
    return {
      name: text(`${name}.name`, one.name),
      weight: integer(`${name}.weight`, one.weight ?? WEIGHT_STEP ** lower, 1, MOST_WEIGHT),
      maxMessages: integer(`${name}.maxMessages`, one.maxMessages ?? Math.max(1, share(maxMessages)), 1, maxMessages),
      maxBytes: checkHoldsMessage(
        `${name}.maxBytes`,
        integer(`${name}.maxBytes`, one.maxBytes ?? Math.max(leastBytes, share(maxBytes)), 1, maxBytes),
        maxMessageBytes,
      ),
    };
  });
  const names = new Set(classes.map(({ name }) => name));
  if (names.size < classes.length) throw invalidOption(option, given, "classes with different names");
  return classes;
}

/** Throws if a message says something to a policy that its link's queue does not have. */
export function checkWithoutPolicy({ key, ttlMs, priority }: TrySendOptions): void {
  if (key === undefined && ttlMs === undefined && priority === undefined) return;
  const [name, given] = Object.entries({ key, ttlMs, priority }).find(([, value]) => value !== undefined) ?? ["", 0];
  throw invalidTerm(name, given, "nothing, as the queue has no policy: see the options of `queue`");
}

/** Throws INVALID_OPTION. */
export function policyTerms(policy: QueuePolicy, options: TrySendOptions | undefined): PolicyTerms {
  const { key, ttlMs = policy.ttlMs, priority } = options ?? {};
  if (key !== undefined) {
    if (policy.overflow !== "conflate") throw invalidTerm("key", key, 'nothing without queue.overflow: "conflate"');
    if (typeof key !== "string" || key.length > MOST_KEY_LENGTH) {
      throw invalidTerm("key", key, `a string of at most ${MOST_KEY_LENGTH} characters`);
    }
  }
  if (ttlMs !== policy.ttlMs && ttlMs !== Infinity && !(Number.isInteger(ttlMs) && ttlMs >= 1 && ttlMs <= MOST_MS)) {
    throw invalidTerm("ttlMs", ttlMs, `an integer from 1 to ${MOST_MS}, or Infinity`);
  }
  return { key, ttlMs, priority: classOf(policy, priority) };
}

function classOf({ names, classes }: QueuePolicy, priority: string | undefined): number {
  if (priority === undefined) return classes.length - 1;
  const found = names.indexOf(priority);
  if (found >= 0) return found;
  const allowed = names.length === 0 ? "none: the option queue.priorities is missing" : names.join(", ");
  throw invalidTerm("priority", priority, allowed);
}

function invalidTerm(name: string, given: unknown, allowed: string): RespliceError {
  return invalidOption(name, given, allowed, "not-sent");
}

/** Throws INVALID_OPTION: an option that is misspelled would take out everything. */
export function checkClearOptions(options: ClearOptions): void {
  checkOptions("clear()", options, "{ olderThanMs: 60_000 }", ["priority", "olderThanMs"]);
  const { olderThanMs } = options;
  if (olderThanMs === undefined || (typeof olderThanMs === "number" && olderThanMs >= 0)) return;
  throw invalidOption("olderThanMs", olderThanMs, "a number of milliseconds, 0 or more");
}
