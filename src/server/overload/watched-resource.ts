/** One resource that a server watches: its rule, which may change with its limit, and the units of its readings. */
import type { OverloadAction } from "../../core/overload/actions.ts";
import type { Released } from "./relief.ts";
import {
  type Resource,
  type ResourceName,
  RESOURCES,
  type ResourceRule,
  RSS_ACTIONS,
  ruleOf,
} from "../../core/overload/rules.ts";
import { SESSION_HEAP_BYTES } from "../../core/session/session.ts";
import type { Reading } from "../../io/resources/sampler.ts";
import type { ResolvedResources } from "../resource-options.ts";

/**
 * What an act has freed, in the unit of the reading. What is left out is not known: then an act is judged by the fall
 * of the reading alone.
 */
const FREED: Readonly<Partial<Record<ResourceName, (released: Released) => number>>> = {
  descriptors: ({ connections }) => connections,
  // The contents of messages are outside of the heap.
  heap: ({ sessions }) => sessions * SESSION_HEAP_BYTES,
  memory: ({ bytes }) => bytes,
  bufferBytes: ({ sharedBytes }) => sharedBytes,
};
/** Of these the unit is bytes. */
const IN_BYTES: ReadonlySet<string> = new Set<ResourceName>(["heap", "memory", "bufferBytes"]);

export class WatchedResource {
  readonly name: string;
  readonly #own: ResourceName | undefined;
  readonly #resources: ResolvedResources;
  #rule: ResourceRule | undefined;
  #limit: number | undefined;
  #source: Reading["source"];
  readonly #steps = new Map<OverloadAction, number>();

  constructor(name: string, resources: ResolvedResources) {
    this.name = name;
    this.#own = resources.custom.has(name) ? undefined : (name as ResourceName);
    this.#resources = resources;
  }

  /** Those whose connections are shed first. Nothing is known of a resource of the application's. */
  get sheds(): Resource["sheds"] {
    return this.#own === undefined ? "cheapest to resume" : RESOURCES[this.#own].sheds;
  }

  /** Whether any connection of a server with so many links is shed because of it. */
  mayShed(links: number): boolean {
    return this.#own === undefined || links >= (RESOURCES[this.#own].shedsFrom ?? 0);
  }

  get high(): number {
    return this.#rule?.high ?? Infinity;
  }

  get low(): number {
    return this.#rule?.low ?? Infinity;
  }

  /** A resource of the process that may become critical soon, and is read more often. */
  isNearCritical(value: number): boolean {
    return this.#own !== undefined && this.#rule?.critical !== undefined && value >= this.low;
  }

  get limit(): number | undefined {
    return this.#limit;
  }

  /** Its thresholds are parts of its limit. */
  get isShare(): boolean {
    return this.#own !== undefined && RESOURCES[this.#own].unit === "limit";
  }

  /** Answers the rule by which it is judged from now on, if that is another than before. */
  heed({ limit, source }: Reading): ResourceRule | undefined {
    if (this.#rule !== undefined && limit === this.#limit && source === this.#source) return undefined;
    this.#limit = limit;
    this.#source = source;
    this.#rule = this.#ruleNow();
    return this.#rule;
  }

  #ruleNow(): ResourceRule {
    if (this.#own === undefined) return (this.#resources.custom.get(this.name) as { rule: ResourceRule }).rule;
    const rule = ruleOf(this.#own, this.#resources.watched.get(this.#own), this.#limit);
    if (this.#own !== "memory" || this.#source !== "process") return rule;
    return { ...rule, actions: rule.actions.filter((action) => RSS_ACTIONS.includes(action)) };
  }

  /** An action is taken because of it. */
  step(action: OverloadAction): void {
    this.#steps.set(action, (this.#steps.get(action) ?? 0) + 1);
  }

  /** How often each action was taken. */
  get steps(): Partial<Record<OverloadAction, number>> {
    return Object.fromEntries(this.#steps);
  }

  /** An amount of the resource in the unit of its rule. Undefined where it has no limit that it could be a part of. */
  inUnit(amount: number): number;
  inUnit(amount: number | undefined): number | undefined;
  inUnit(amount: number | undefined): number | undefined {
    if (!this.isShare || amount === undefined) return amount;
    return this.#limit === undefined || this.#limit <= 0 ? undefined : amount / this.#limit;
  }

  /** The reverse: a number of the rule in the unit of the readings. */
  outOfUnit(value: number): number {
    return this.isShare ? Math.round(value * (this.#limit ?? 0)) : value;
  }

  /** How many bytes above low it is; Infinity if its unit is another. */
  excessBytes(observed: number): number {
    return IN_BYTES.has(this.name) && this.#own !== undefined
      ? this.outOfUnit(Math.max(0, observed - this.low))
      : Infinity;
  }

  /** How many connections have to go until it is below low; Infinity if its unit is another. */
  excessConnections(observed: number): number {
    if (this.#own !== "descriptors") return Infinity;
    return observed < this.low ? 0 : this.outOfUnit(observed - this.low) + 1;
  }

  /** What an act has freed, in the unit of the readings. */
  freed(released: Released): number {
    const freed = this.#own === undefined ? undefined : FREED[this.#own];
    return freed?.(released) ?? 0;
  }
}
