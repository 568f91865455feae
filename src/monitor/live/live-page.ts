/** The viewers of the live page. The first begins the watch, and it ends a while after the last has gone. */
import type { ServerResponse } from "node:http";
import { realTime } from "../../real-time.ts";
import type { NamedSource } from "../sources.ts";
import type { View } from "./view.ts";
import { Viewer } from "./viewer.ts";
import { Watch } from "./watch.ts";

export const MOST_VIEWERS = 8;
/** A viewer that comes back within so long, or looks at other links, finds what was there. */
export const LINGER_MS = 30_000;
/** What happens is told so long after it, with all that happens meanwhile. */
const TOLD_AFTER_MS = 50;
/** Between two times something is told at once, so many times what that has cost. */
const PAUSE_PER_COST = 10;

export class LivePage {
  readonly #sources: readonly NamedSource[];
  readonly #viewers = new Map<ServerResponse, Viewer>();
  #watch: Watch | undefined;
  #linger: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #notBeforeMs = 0;
  /** Those that are still to be told, one in each turn. */
  readonly #untold = new Set<ServerResponse>();
  #costMs = 0;
  /** Of the time before. */
  #lastCostMs = 0;
  #turn: NodeJS.Immediate | undefined;

  constructor(sources: readonly NamedSource[]) {
    this.#sources = sources;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** Whether anything is heard, read or kept. */
  get isWatching(): boolean {
    return this.#watch !== undefined;
  }

  get isFull(): boolean {
    return this.#viewers.size >= MOST_VIEWERS;
  }

  /** Tells the viewer from now on, until its connection is closed. */
  add(view: View, response: ServerResponse): void {
    const viewer = new Viewer(view, response);
    this.#viewers.set(response, viewer);
    response.on("close", () => this.#leave(response));
    // Its error says what its 'close' says.
    response.on("error", () => {});
    realTime.clearTimeout(this.#linger);
    this.#watch ??= new Watch(this.#sources, { onHappened: () => this.#tellSoon(), onPassed: () => this.#tellAll() });
    if (this.#watch.isReady) viewer.tell(this.#watch);
  }

  #leave(response: ServerResponse): void {
    this.#viewers.delete(response);
    if (this.#viewers.size > 0 || this.#watch === undefined) return;
    this.#linger = realTime.setTimeout(() => this.#stop(), LINGER_MS).unref();
  }

  #stop(): void {
    this.#watch?.stop();
    this.#watch = undefined;
    realTime.clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#untold.clear();
  }

  #tellSoon(): void {
    if (this.#soon !== undefined || this.#viewers.size === 0 || this.#watch?.isReady !== true) return;
    const waitMs = Math.max(TOLD_AFTER_MS, this.#notBeforeMs - realTime.now());
    this.#soon = realTime.setTimeout(() => this.#tellAll(), waitMs).unref();
  }

  #tellAll(): void {
    realTime.clearTimeout(this.#soon);
    this.#soon = undefined;
    for (const response of this.#viewers.keys()) this.#untold.add(response);
    if (this.#turn === undefined) this.#tellNext();
  }

  /** One in each turn of the event loop. */
  #tellNext(): void {
    this.#turn = undefined;
    const [response] = this.#untold;
    if (response === undefined || this.#watch === undefined) return this.#toldAll();
    this.#untold.delete(response);
    const beganMs = realTime.now();
    this.#viewers.get(response)?.tell(this.#watch);
    this.#costMs += realTime.now() - beganMs;
    this.#turn = realTime.setImmediate(() => this.#tellNext()).unref();
  }

  #toldAll(): void {
    // On a busy machine a single time may take long because of others.
    this.#notBeforeMs = realTime.now() + PAUSE_PER_COST * Math.min(this.#costMs, this.#lastCostMs);
    this.#lastCostMs = this.#costMs;
    this.#costMs = 0;
  }

  /** Ends the answers of all viewers, and the watch. */
  close(): void {
    realTime.clearTimeout(this.#linger);
    this.#stop();
    for (const response of this.#viewers.keys()) response.end();
    this.#viewers.clear();
  }
}
