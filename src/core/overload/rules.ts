/** When a resource is overloaded, and which actions help then, in which order. docs/overload.md has the same table. */
import type { OverloadAction } from "./actions.ts";

/** How the readings of one resource are judged. Readings and thresholds have the same unit, whatever it is. */
export interface ResourceRule {
  name: string;
  /** Below it for `leaveMs`, the overload is over. low < high <= critical. */
  low: number;
  /** At or above it for `dwellMs`, a step is taken. */
  high: number;
  /** At or above it, or about to be, each sample takes a step. */
  critical?: number;
  dwellMs: number;
  leaveMs: number;
  /** One step each, in this order; none of them twice. The last act is repeated. */
  actions: readonly OverloadAction[];
}

/** The options that replace defaults of a resource's rule. */
export type GivenRule = Readonly<Partial<Omit<ResourceRule, "name">>>;

export const DWELL_MS = 1_000;
export const LEAVE_MS = 5_000;

export type ResourceName = "descriptors" | "heap" | "memory" | "bufferBytes" | "lag" | "tcpMemory";

export interface Resource {
  /** A part of the resource's limit, or milliseconds. */
  unit: "limit" | "ms";
  low: number;
  high: number;
  critical?: number;
  /** Critical is where so few of the limit are left, if that is above `high`. */
  criticalLeft?: number;
  actions: readonly OverloadAction[];
  /** Actions that are refused for this resource, each with the reason. */
  harmful: Readonly<Partial<Record<OverloadAction, string>>>;
  /** The connections that "shed" takes first. */
  sheds: "biggest" | "cheapest to resume";
  /** Of fewer links none is shed. */
  shedsFrom?: number;
}

const FOR_MEMORY: readonly OverloadAction[] = [
  "shrink-windows",
  "forget-received",
  "close-hopeless",
  "refuse-sessions",
  "evict-waiting",
  "shed",
];

/**
 * "shed" takes at most this part of the links in a second, whatever resources ask for it: each client that comes back
 * takes a handshake. Three steps without effect take less than a twentieth of the links.
 */
export const SHEDS_PER_SECOND = 0.01;
const NO_DESCRIPTOR = "it frees no descriptor";
const NO_BYTES = "an idle connection has no bytes to be written";
const MORE_WORK = "each message that is forgotten arrives once more";

export const RESOURCES: Readonly<Record<ResourceName, Resource>> = {
  descriptors: {
    unit: "limit",
    low: 0.8,
    high: 0.9,
    criticalLeft: 4,
    actions: ["close-idle", "refuse-sessions", "refuse-standbys", "drop-lingering", "drop-handshakes", "shed"],
    harmful: {
      "shrink-windows": NO_DESCRIPTOR,
      "forget-received": NO_DESCRIPTOR,
      "evict-waiting": NO_DESCRIPTOR,
      "read-less": NO_DESCRIPTOR,
    },
    sheds: "cheapest to resume",
  },
  heap: {
    unit: "limit",
    low: 0.6,
    high: 0.75,
    critical: 0.8,
    actions: FOR_MEMORY,
    harmful: {},
    sheds: "biggest",
  },
  memory: {
    unit: "limit",
    low: 0.75,
    high: 0.85,
    critical: 0.93,
    actions: FOR_MEMORY,
    harmful: {},
    sheds: "biggest",
  },
  bufferBytes: {
    unit: "limit",
    low: 0.7,
    high: 0.9,
    actions: FOR_MEMORY,
    harmful: { "close-idle": NO_BYTES },
    sheds: "biggest",
  },
  lag: {
    unit: "ms",
    low: 15,
    high: 40,
    actions: ["read-less", "refuse-sessions", "shed"],
    harmful: { "forget-received": MORE_WORK, "close-idle": "an idle connection takes no time" },
    sheds: "cheapest to resume",
    // One would be more than a hundredth, and it is hardly a few links that keep the event loop busy.
    shedsFrom: 1 / SHEDS_PER_SECOND,
  },
  tcpMemory: {
    unit: "limit",
    low: 0.7,
    high: 0.9,
    actions: ["close-hopeless", "refuse-sessions", "shed"],
    harmful: {
      "forget-received": "the kernel has none of it, and receives it once more",
      "close-idle": NO_BYTES,
      "evict-waiting": "a session that waits has no socket",
      "read-less": "bytes that are not read stay in the kernel",
    },
    sheds: "biggest",
  },
};

/**
 * For "memory" that is read as the RSS of the process. The RSS stays where it is when memory is freed, so nobody is
 * turned out because of it.
 */
export const RSS_ACTIONS: readonly OverloadAction[] = FOR_MEMORY.filter(
  (action) => action !== "evict-waiting" && action !== "shed",
);

/** For a resource of the application's, of which nothing is known. */
export const CUSTOM_ACTIONS: readonly OverloadAction[] = ["refuse-sessions"];

/**
 * The rule of a resource: its defaults, and what of them is replaced.
 *
 * @param limit of the resource, for one of which critical is where a few are left
 */
export function ruleOf(name: ResourceName, given: GivenRule = {}, limit?: number): ResourceRule {
  const { low, high, critical, criticalLeft, actions } = RESOURCES[name];
  const rule: ResourceRule = { name, low, high, dwellMs: DWELL_MS, leaveMs: LEAVE_MS, actions, ...given };
  if (given.critical !== undefined) return rule;
  if (critical !== undefined) return { ...rule, critical: Math.max(rule.high, critical) };
  if (criticalLeft === undefined || limit === undefined) return rule;
  return { ...rule, critical: Math.max(rule.high, (limit - criticalLeft) / limit) };
}
