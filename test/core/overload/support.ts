/** A ladder that is sampled four times a second, with what it says as lines. */
import type { OverloadAction } from "../../../src/core/overload/actions.ts";
import { OverloadLadder } from "../../../src/core/overload/ladder.ts";
import type { OverloadEvent } from "../../../src/core/overload/resource-ladder.ts";
import type { ResourceRule } from "../../../src/core/overload/rules.ts";

export const SAMPLE_MS = 250;

export const RULE: ResourceRule = {
  name: "memory",
  low: 0.7,
  high: 0.9,
  dwellMs: 1_000,
  leaveMs: 5_000,
  actions: ["shrink-windows", "forget-received", "refuse-sessions", "shed"],
};

export class Sampled {
  readonly ladder = new OverloadLadder();
  readonly events: Array<OverloadEvent & { atMs: number }> = [];
  nowMs = 0;
  /** Actions that would find nothing to do. */
  idle: ReadonlySet<OverloadAction> = new Set();
  /** The amount that each act frees. */
  freed: (event: OverloadEvent) => number = () => 0;

  constructor(...rules: readonly ResourceRule[]) {
    for (const rule of rules) this.ladder.setRule(rule, 0);
  }

  /** One sample of one or more resources. Answers its lines. */
  sample(readings: number | undefined | Readonly<Record<string, number | undefined>>): string[] {
    const given = typeof readings === "object" ? readings : { [RULE.name]: readings };
    return this.take(this.ladder.sample(new Map(Object.entries(given)), this.nowMs, () => this.idle));
  }

  take(events: readonly OverloadEvent[]): string[] {
    for (const event of events) {
      this.events.push({ ...event, atMs: this.nowMs });
      if (event.type === "act") this.ladder.freed(event.resource, this.freed(event));
    }
    return events.map(line);
  }

  /** Samples the same readings for so long. Answers the lines, each with its time since the beginning of this. */
  hold(readings: Parameters<Sampled["sample"]>[0], forMs: number): string[] {
    const sinceMs = this.nowMs;
    const lines: string[] = [];
    while (this.nowMs < sinceMs + forMs) {
      const atMs = this.nowMs - sinceMs;
      lines.push(...this.sample(readings).map((each) => `${atMs} ${each}`));
      this.nowMs += SAMPLE_MS;
    }
    return lines;
  }
}

function line({ type, resource, action }: OverloadEvent): string {
  const of = resource === RULE.name ? [] : [resource];
  return [...of, type, ...(action === undefined ? [] : [action])].join(" ");
}
