/** The steps against the overload of one resource: when each is taken, and when all are taken back. */
import { nextResourceState, type ResourceInput, type ResourceState } from "../states.ts";
import { isCondition, type OverloadAction } from "./actions.ts";
import { Effect, PLAIN_PART } from "./effect.ts";
import type { ResourceRule } from "./rules.ts";

export interface OverloadEvent {
  type:
    /** Carry the action out: a condition is in force from now on. */
    | "act"
    /** This resource does not hold the condition any more. Another one may. */
    | "release"
    /** The overload of this resource is over. */
    | "recover"
    /** The last steps were without effect: no more are taken. */
    | "ineffective"
    /** The overload ends without being over: it cannot be seen any more. */
    | "unreadable";
  resource: string;
  /** Of "act" and "release". */
  action?: OverloadAction;
  /** The last reading that counted, in the rule's unit. */
  observed: number;
  /**
   * The threshold that decided: high for a step, or critical, which the reading has passed or is about to pass; low where
   * actions are taken back.
   */
  threshold: number;
  /** Since that reading. */
  ageMs: number;
}

/** After a longer pause, this process or its machine was asleep, and readings tell of that. */
export const GAP_MS = 10_000;
/** Steps are at least so far apart, however often the resource is read. */
const STEP_MS = 200;
/**
 * A rise within so long, or since the reading before, is taken to go on as long once more. Readings a quarter of a second
 * apart are within it; those of a loop that is busy are further apart.
 */
export const TREND_MS = 300;
/** Readings are kept for the trend if they are so far apart. */
const KEPT_EVERY_MS = 40;
/** Nothing stays in force for longer because of a resource that cannot be read. */
export const UNREADABLE_MS = 30_000;

interface Reading {
  observed: number;
  atMs: number;
}

export class ResourceLadder {
  #rule: ResourceRule;
  readonly #events: { push(event: OverloadEvent): unknown };
  #state: ResourceState = "normal";
  /** The actions of this overload, each once, the oldest first. */
  readonly #taken: OverloadAction[] = [];
  readonly #effect = new Effect();
  /** Where steps were given up. */
  #givenUpAt = 0;

  /** The last reading that counted. Undefined before the first. */
  #last: Reading | undefined;
  /** Readings of the last TREND_MS, and the one before that if there is no other; the oldest first. */
  #recent: Reading[] = [];
  #steppedMs = -Infinity;
  /** The last reading, whether it counted or not. */
  #readMs: number | undefined;
  /** Since then no reading has counted. Time asleep is left out. */
  #missingSinceMs = 0;
  /** The reading is at or above high since then, without a step. */
  #highSinceMs: number | undefined;
  #lowSinceMs: number | undefined;

  constructor(rule: ResourceRule, events: { push(event: OverloadEvent): unknown }) {
    this.#rule = rule;
    this.#events = events;
  }

  get rule(): ResourceRule {
    return this.#rule;
  }

  get state(): ResourceState {
    return this.#state;
  }

  get observed(): number | undefined {
    return this.#last?.observed;
  }

  /** Milliseconds since the last reading that counted. */
  ageMs(nowMs: number): number | undefined {
    return this.#last === undefined ? undefined : nowMs - this.#last.atMs;
  }

  holds(condition: OverloadAction): boolean {
    return isCondition(condition) && this.#taken.includes(condition);
  }

  /**
   * @param observed undefined where it could not be read; a number that is not finite is none
   * @param idle actions that would find nothing to do
   */
  sample(observed: number | undefined, idle: ReadonlySet<OverloadAction>, nowMs: number): void {
    if (observed === undefined || !Number.isFinite(observed)) return this.#onMissing(nowMs);
    const isLate = this.#readMs !== undefined && nowMs - this.#readMs > GAP_MS;
    this.#readMs = nowMs;
    if (isLate) {
      this.#beginAnew();
      return this.#onMissing(nowMs);
    }
    this.#last = { observed, atMs: nowMs };
    this.#missingSinceMs = nowMs;
    this.#effect.observe(observed);
    this.#remember(this.#last);
    this.#judge(observed, idle, nowMs);
  }

  #remember(reading: Reading): void {
    const { atMs } = reading;
    const recent = this.#recent.filter((each, at) => at === this.#recent.length - 1 || atMs - each.atMs <= TREND_MS);
    if (atMs - (recent.at(-1)?.atMs ?? -Infinity) >= KEPT_EVERY_MS) recent.push(reading);
    this.#recent = recent;
  }

  /**
   * The reading is critical, or would be if it rose once more as it has of late: a heap may pass from low to critical
   * between two readings.
   */
  #isCritical(observed: number): boolean {
    const { low, critical = Infinity } = this.#rule;
    const lowest = Math.min(...this.#recent.map((each) => each.observed));
    return observed >= low && Math.max(observed, 2 * observed - lowest) >= critical;
  }

  /** This process was asleep until now: that nothing could be read meanwhile means nothing. */
  awake(nowMs: number): void {
    this.#missingSinceMs = nowMs;
  }

  /** The last step has freed this much, in the unit of the readings. Amounts are added. */
  freed(amount: number): void {
    this.#effect.freed(amount);
  }

  /** Another rule from now on. A condition in force that it does not have is taken back. */
  setRule(rule: ResourceRule, nowMs: number): void {
    const { low, high, actions } = this.#rule;
    const isAsBefore = rule.low === low && rule.high === high && rule.actions.join() === actions.join();
    this.#rule = rule;
    if (isAsBefore) return;
    this.#beginAnew();
    this.#effect.reset();
    if (this.#state === "ineffective") this.#enter("rose");
    this.#release((action) => !rule.actions.includes(action), nowMs);
  }

  /** The resource is not watched any more. */
  remove(nowMs: number): void {
    const wasOverloaded = this.#state !== "normal";
    this.#end("removed", nowMs);
    if (wasOverloaded) this.#report("recover", this.#rule.low, nowMs);
  }

  #judge(observed: number, idle: ReadonlySet<OverloadAction>, nowMs: number): void {
    const { low, high, leaveMs } = this.#rule;
    if (observed >= low) this.#lowSinceMs = undefined;
    else this.#lowSinceMs ??= nowMs;
    const isCritical = this.#isCritical(observed);
    if (observed < high && !isCritical) this.#highSinceMs = undefined;
    else this.#highSinceMs ??= nowMs;

    if (this.#highSinceMs !== undefined) this.#climb(observed, isCritical, this.#highSinceMs, idle, nowMs);
    else if (this.#lowSinceMs !== undefined && this.#state !== "normal" && nowMs - this.#lowSinceMs >= leaveMs) {
      this.#end("recovered", nowMs);
      this.#report("recover", low, nowMs);
    }
  }

  /** Takes a step if one is due. */
  #climb(
    observed: number,
    isCritical: boolean,
    highSinceMs: number,
    idle: ReadonlySet<OverloadAction>,
    nowMs: number,
  ): void {
    const { low, high, critical = Infinity, dwellMs } = this.#rule;
    if (nowMs - this.#steppedMs < STEP_MS) return;
    const action = this.#next(idle);
    const isNew = action !== undefined && !this.#taken.includes(action);
    // What grows is not what the application holds for good. An action that was not tried may end that, above all a
    // condition, which frees nothing and cannot make the reading fall.
    const mustGoOn = isNew && this.#effect.hasRisen(high - low);
    const isHopeless = this.#effect.isHopeless(high - low) && !mustGoOn;
    // A step whose judgement ends all further ones is given its time, however critical the reading is: memory that was
    // freed is seen when it is collected.
    if (nowMs - highSinceMs < dwellMs && (!isCritical || isHopeless)) return;
    if (isHopeless) {
      this.#givenUpAt = observed;
      this.#effect.reset();
      this.#enter("given-up");
      return this.#report("ineffective", high, nowMs);
    }
    if (action === undefined) return;
    if (this.#state === "ineffective") {
      const isNewlyCritical = isCritical && this.#givenUpAt < critical;
      const rise = (high - low) * (isNew || isNewlyCritical ? PLAIN_PART : 1);
      if (observed < this.#givenUpAt + rise) return;
      this.#enter("rose");
    }
    if (this.#state === "normal") this.#enter("step");
    if (isNew) this.#taken.push(action);
    this.#highSinceMs = nowMs;
    this.#steppedMs = nowMs;
    if (this.#effect.isHopeless(high - low)) this.#effect.reset();
    this.#effect.begin(observed, high - low);
    this.#report("act", isCritical ? critical : high, nowMs, action);
  }

  /** The first action that was not taken, else the last act. One that would find nothing to do is left for later. */
  #next(idle: ReadonlySet<OverloadAction>): OverloadAction | undefined {
    const useful = this.#rule.actions.filter((action) => !idle.has(action));
    return useful.find((action) => !this.#taken.includes(action)) ?? useful.findLast((action) => !isCondition(action));
  }

  #onMissing(nowMs: number): void {
    if (this.#state === "normal" || nowMs - this.#missingSinceMs < UNREADABLE_MS) return;
    this.#end("unreadable", nowMs);
    this.#report("unreadable", this.#rule.high, nowMs);
  }

  #end(input: "recovered" | "unreadable" | "removed", nowMs: number): void {
    this.#release(() => true, nowMs);
    this.#beginAnew();
    this.#effect.reset();
    this.#enter(input);
  }

  /** Takes back the actions that `isOver` names, the youngest first. An act is forgotten: it can be taken again. */
  #release(isOver: (action: OverloadAction) => boolean, nowMs: number): void {
    for (const action of this.#taken.toReversed()) {
      if (!isOver(action)) continue;
      this.#taken.splice(this.#taken.indexOf(action), 1);
      if (isCondition(action)) this.#report("release", this.#rule.low, nowMs, action);
    }
  }

  /** A reading that was high or low until now has to be so for the whole time once more, and a rise begins anew. */
  #beginAnew(): void {
    this.#recent = [];
    this.#highSinceMs = undefined;
    this.#lowSinceMs = undefined;
  }

  #enter(input: ResourceInput): void {
    const next = nextResourceState(this.#state, input);
    if (next === undefined) throw new Error(`no transition from ${this.#state} on ${input}`);
    this.#state = next;
  }

  #report(type: OverloadEvent["type"], threshold: number, nowMs: number, action?: OverloadAction): void {
    // Nothing is reported of a resource before its first step, which follows a reading.
    const { observed, atMs } = this.#last as Reading;
    const event: OverloadEvent = { type, resource: this.#rule.name, observed, threshold, ageMs: nowMs - atMs };
    if (action !== undefined) event.action = action;
    this.#events.push(event);
  }
}
