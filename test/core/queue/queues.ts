/** Queues of numbered messages for tests. */
import type { Account } from "../../../src/core/log/window.ts";
import type { ClassLimits } from "../../../src/core/queue/classes.ts";
import type { Entry, EntryTerms } from "../../../src/core/queue/entry.ts";
import { type PolicyLimits, PolicyQueue } from "../../../src/core/queue/policy-queue.ts";
import { ampleAccount } from "../../core/support.ts";

export const ROOMY: ClassLimits = { weight: 1, maxMessages: 10_000, maxBytes: 10_000_000 };

function limitsOf(limits: Partial<PolicyLimits>): PolicyLimits {
  return { overflow: "drop-oldest", maxMessages: 10_000, maxBytes: 10_000_000, classes: [ROOMY], ...limits };
}

export class NumberedQueue {
  readonly queue: PolicyQueue<string>;
  nowMs = 0;

  constructor(limits: Partial<PolicyLimits> = {}, account: Account = ampleAccount()) {
    this.queue = new PolicyQueue(limitsOf(limits), account);
  }

  push(message: string, terms: Partial<EntryTerms> = {}): Entry<string> {
    const all: EntryTerms = { bytes: 10, priority: 0, key: undefined, ttlMs: Infinity, ...terms };
    return this.queue.push(message, all, this.nowMs);
  }

  /** What was dropped, each with its reason. */
  dropped(): string[] {
    return this.queue.takeDropped().map(({ entry, reason }) => `${entry.message} ${reason}`);
  }

  take(): string | undefined {
    const entry = this.queue.next(this.nowMs);
    if (entry !== undefined) this.queue.take(entry, this.nowMs);
    return entry?.message;
  }

  takeAll(): string {
    const taken: string[] = [];
    for (let message = this.take(); message !== undefined; message = this.take()) taken.push(message);
    return taken.join(" ");
  }
}
