/**
 * Decides from readings of resources which actions against overload are taken, and which are taken back. One ladder for
 * each resource; a condition is in force while any of them holds it. The ladder carries out nothing: whoever samples
 * takes the events, carries out each "act" and reports what it has freed, then brings the conditions into line with
 * `isInForce()`. The same readings at the same times give the same events.
 */
import { OVERLOAD_ACTIONS, type OverloadAction } from "./actions.ts";
import { GAP_MS, type OverloadEvent, ResourceLadder } from "./resource-ladder.ts";
import type { ResourceRule } from "./rules.ts";
import type { ResourceState } from "../states.ts";

/** One resource, as it is now. */
export interface ResourceReport {
  rule: ResourceRule;
  state: ResourceState;
  /** The last reading that counted, and its age. Undefined before the first. */
  observed: number | undefined;
  ageMs: number | undefined;
  /** The conditions that it holds. */
  holds: readonly OverloadAction[];
}

const CONDITIONS = (Object.keys(OVERLOAD_ACTIONS) as OverloadAction[]).filter(
  (action) => OVERLOAD_ACTIONS[action] === "condition",
);

const NONE: ReadonlySet<OverloadAction> = new Set();

export class OverloadLadder {
  readonly #resources = new Map<string, ResourceLadder>();
  #events: OverloadEvent[] = [];
  #sampledMs: number | undefined;

  /** Watches a resource by this rule, which replaces the one that it had. Answers what is taken back because of it. */
  setRule(rule: ResourceRule, nowMs: number): OverloadEvent[] {
    const resource = this.#resources.get(rule.name);
    if (resource === undefined) {
      this.#resources.set(rule.name, new ResourceLadder(rule, { push: (event) => this.#events.push(event) }));
    } else {
      resource.setRule(rule, nowMs);
    }
    return this.#drain();
  }

  /** Watches a resource no more. Answers what is taken back because of it. */
  removeRule(name: string, nowMs: number): OverloadEvent[] {
    this.#resources.get(name)?.remove(nowMs);
    this.#resources.delete(name);
    return this.#drain();
  }

  /**
   * Judges one sample of all resources, and answers what is to be done, in this order. Call it each 250 ms or so.
   *
   * @param readings by the names of the rules. Undefined, none, or no finite number: it could not be read
   * @param idle actions that would find nothing to do for that resource now: "evict-waiting" where no session waits. The
   *   next action is taken in place of such a one
   */
  sample(
    readings: ReadonlyMap<string, number | undefined>,
    nowMs: number,
    idle: (resource: string) => ReadonlySet<OverloadAction> = () => NONE,
  ): OverloadEvent[] {
    const wasAsleep = this.#sampledMs !== undefined && nowMs - this.#sampledMs > GAP_MS;
    this.#sampledMs = nowMs;
    for (const [name, resource] of this.#resources) {
      if (wasAsleep) resource.awake(nowMs);
      resource.sample(readings.get(name), idle(name), nowMs);
    }
    return this.#drain();
  }

  /** An act of this resource has freed so much, in the unit of its readings. Amounts of one act are added. */
  freed(resource: string, amount: number): void {
    this.#resources.get(resource)?.freed(amount);
  }

  isInForce(condition: OverloadAction): boolean {
    return this.holders(condition).length > 0;
  }

  /** The resources that hold a condition, by name. */
  holders(condition: OverloadAction): string[] {
    return [...this.#resources].filter(([, resource]) => resource.holds(condition)).map(([name]) => name);
  }

  /** Every resource that is watched, by name. */
  resources(nowMs: number): Map<string, ResourceReport> {
    return new Map(
      [...this.#resources].map(([name, resource]) => {
        const { rule, state, observed } = resource;
        const holds = CONDITIONS.filter((condition) => resource.holds(condition));
        return [name, { rule, state, observed, ageMs: resource.ageMs(nowMs), holds }];
      }),
    );
  }

  #drain(): OverloadEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
