/**
 * Guards a server against overload: samples the resources of the process, asks the ladder which actions are due, has
 * them carried out, and reports each. The ladder decides, `Relief` acts, and this class brings them together.
 */
import type { OverloadAction } from "../../core/overload/actions.ts";
import { OVERLOAD_ACTIONS } from "../../core/overload/actions.ts";
import { OverloadLadder } from "../../core/overload/ladder.ts";
import type { OverloadEvent } from "../../core/overload/resource-ladder.ts";
import { SHEDS_PER_SECOND } from "../../core/overload/rules.ts";
import { ShedPace } from "../../core/overload/shed-pace.ts";
import { openReaders, type ProcessResource } from "../../io/resources/process.ts";
import type { Reader, System } from "../../io/resources/reader.ts";
import { FunctionReader } from "../../io/resources/functions.ts";
import { type Pace, type Reading, type Sample, Sampler } from "../../io/resources/sampler.ts";
import type { Journal } from "../../telemetry/journal.ts";
import type { ResolvedResources } from "../resource-options.ts";
import { NOTHING, type Released, type Relief } from "./relief.ts";
import type { OverloadReport } from "../../telemetry/record.ts";
import type { ResourceStats } from "../../telemetry/samples.ts";
import { reportOf, resourceStats, stateReason } from "./reports.ts";
import { WatchedResource } from "./watched-resource.ts";

export interface GuardOptions {
  resources: ResolvedResources;
  /** Everything is sampled and reported, and nothing is done. */
  dryRun: boolean;
}

export interface GuardHost {
  relief: Relief;
  /** Reads "bufferBytes", for a server whose options have it. */
  buffers?: Reader;
  journal: Journal;
  onReport(report: OverloadReport): void;
  /** Of a test. */
  system?: System;
  pace?: Pace;
}

const CONDITIONS = (Object.keys(OVERLOAD_ACTIONS) as OverloadAction[]).filter(
  (action) => OVERLOAD_ACTIONS[action] === "condition",
);
const ACTIONS = Object.keys(OVERLOAD_ACTIONS) as OverloadAction[];
const NONE: ReadonlySet<OverloadAction> = new Set();

export class Guard {
  readonly #options: GuardOptions;
  readonly #host: GuardHost;
  readonly #ladder = new OverloadLadder();
  readonly #shedPace = new ShedPace(SHEDS_PER_SECOND);
  readonly #watched = new Map<string, WatchedResource>();
  /** Why each condition is in force. */
  readonly #inForce = new Map<OverloadAction, string>();
  #sampler: Sampler | undefined;
  /** Goes on while the machine sleeps, which the monotonic clock may not. */
  #nowMs = 0;
  #isClosed = false;

  constructor(options: GuardOptions, host: GuardHost) {
    this.#options = options;
    this.#host = host;
  }

  /** Begins to sample, once. */
  start(): void {
    if (this.#sampler !== undefined || this.#isClosed) return;
    const { readers, notWatched } = this.#open();
    const { journal, pace } = this.#host;
    const { resources } = this.#options;
    for (const { name } of readers) this.#watched.set(name, new WatchedResource(name, resources));
    for (const [resource, reason] of notWatched) journal.record({ event: "server.unwatched", resource, reason });
    this.#sampler = new Sampler({
      readers,
      notWatched,
      onSample: (sample) => this.#onSample(sample),
      onFailure: (hook, thrown) => journal.record({ event: "server.hook-failed", failure: { hook, thrown } }),
      ...(pace !== undefined && { pace }),
    });
    this.#sampler.start();
  }

  #open(): { readers: Reader[]; notWatched: Map<string, string> } {
    const { resources } = this.#options;
    const { buffers, system } = this.#host;
    const names = [...resources.watched.keys()];
    const ofProcess = names.filter((name): name is ProcessResource => name !== "bufferBytes");
    const { readers, notWatched } = openReaders(ofProcess, system);
    if (buffers !== undefined && names.includes("bufferBytes")) readers.push(buffers);
    for (const [name, { read }] of resources.custom) {
      readers.push(new FunctionReader(name, read, { hook: `resources.custom.${name}` }));
    }
    return { readers, notWatched };
  }

  /** Something is short now: what is due is done before the next sample. */
  sampleNow(): void {
    this.#sampler?.sampleNow();
  }

  /** Takes back what is in force, and samples no more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sampler?.close();
    for (const condition of this.#inForce.keys()) this.#enforce(condition, "");
  }

  // ── a sample ────────────────────────────────────────────────────────────────────────────────────────────────────

  #onSample({ sinceMs }: Sample): void {
    this.#nowMs += sinceMs;
    const readings = new Map<string, number | undefined>();
    let isHigh = false;
    const sampler = this.#sampler as Sampler;
    const hurried = new Set<string>();
    for (const [name, reading] of sampler.readings) {
      const value = this.#take(name, reading);
      readings.set(name, value);
      if (value === undefined) continue;
      const resource = this.#resource(name);
      if (resource.isNearCritical(value)) hurried.add(name);
      isHigh ||= value >= resource.high || hurried.has(name);
    }
    sampler.hurry(hurried);
    // Only what is high can be a reason for a step: what there would be to do is looked for then.
    const idle = isHigh ? this.#idle() : NONE;
    const { links } = this.#host.relief;
    const idleFor = (name: string): ReadonlySet<OverloadAction> =>
      !isHigh || this.#resource(name).mayShed(links) ? idle : new Set([...idle, "shed"]);
    for (const event of this.#ladder.sample(readings, this.#nowMs, idleFor)) this.#onEvent(event);
    this.#align();
  }

  /** The reading in the unit of the resource's rule, which may have changed with it. */
  #take(name: string, reading: Reading): number | undefined {
    const resource = this.#resource(name);
    const rule = resource.heed(reading);
    if (rule !== undefined) for (const event of this.#ladder.setRule(rule, this.#nowMs)) this.#onEvent(event);
    return reading.isCurrent ? resource.inUnit(reading.observed) : undefined;
  }

  #resource(name: string): WatchedResource {
    return this.#watched.get(name) as WatchedResource;
  }

  /** Actions that would find nothing to do now. */
  #idle(): ReadonlySet<OverloadAction> {
    const { relief } = this.#host;
    const isIdle = (action: OverloadAction): boolean =>
      (action === "shed" && this.#mostShed === 0) || relief.isIdle(action);
    return new Set(ACTIONS.filter(isIdle));
  }

  get #mostShed(): number {
    return this.#shedPace.available(this.#host.relief.links, this.#nowMs);
  }

  #onEvent(event: OverloadEvent): void {
    // A listener of the application may have closed the server.
    if (this.#isClosed) return;
    const resource = this.#resource(event.resource);
    const { action, type } = event;
    const taken = type === "act" ? action : undefined;
    if (taken !== undefined) resource.step(taken);
    const released =
      taken !== undefined && OVERLOAD_ACTIONS[taken] === "act" ? this.#carryOut(taken, event, resource) : NOTHING;
    const report = reportOf(event, resource, released, this.#options.dryRun);
    if (report.released > 0 && !report.dryRun) this.#ladder.freed(event.resource, resource.inUnit(report.released));
    this.#host.journal.record({ event: "server.overload", ...report });
    this.#host.onReport(report);
  }

  #carryOut(act: OverloadAction, { observed, resource: name }: OverloadEvent, resource: WatchedResource): Released {
    const { relief } = this.#host;
    const { dryRun } = this.#options;
    const released = relief.carryOut(act, {
      resource: name,
      sheds: resource.sheds,
      mostShed: this.#mostShed,
      bytes: resource.excessBytes(observed),
      connections: resource.excessConnections(observed),
      dryRun,
    });
    if (act === "shed") this.#shedPace.took(released.victims.length);
    return released;
  }

  /** Brings the conditions that are in force into line with the ladder. */
  #align(): void {
    for (const condition of CONDITIONS) {
      const holders = this.#ladder.holders(condition).join(", ");
      const why = holders === "" ? "" : `overloaded: ${holders}`;
      if (why !== (this.#inForce.get(condition) ?? "")) this.#enforce(condition, why);
    }
  }

  #enforce(condition: OverloadAction, why: string): void {
    if (why === "") this.#inForce.delete(condition);
    else this.#inForce.set(condition, why);
    if (!this.#options.dryRun) this.#host.relief.enforce(condition, why);
  }

  // ── seen from outside ───────────────────────────────────────────────────────────────────────────────────────────

  /** The resources that are overloaded, in words, for `health()`. */
  reasons(): string[] {
    return Array.from(this.#ladder.resources(this.#nowMs), ([name, report]) =>
      stateReason(report, this.#resource(name)),
    ).filter((reason) => reason !== "");
  }

  /** Every resource that is watched, or would be. Empty before `start()`. */
  stats(): Record<string, ResourceStats> {
    const sampler = this.#sampler;
    if (sampler === undefined) return {};
    const reports = this.#ladder.resources(this.#nowMs);
    return resourceStats(sampler, this.#watched, reports);
  }
}
