/** Which faults a path has, one after the other, drawn from a seed: the same seed makes the same ones. */
import { Draw } from "../fuzz/draw.ts";

export type Way = "upstream" | "downstream" | "both";

/** What changes how bytes pass, and loses none. */
export type Shape =
  | { kind: "stall"; way: Way }
  | { kind: "slow"; way: Way; kilobytesPerSecond: number }
  | { kind: "latency"; delayMs: number; jitterMs: number }
  | { kind: "slicer"; way: Way; bytes: number };

/** What ends connections. */
export type Break =
  | { kind: "cut" }
  | { kind: "down"; holdMs: number }
  | { kind: "black-hole"; way: Way; holdMs: number }
  | { kind: "reset"; way: "upstream" | "downstream"; holdMs: number }
  | { kind: "cut-after"; way: "upstream" | "downstream"; bytes: number; holdMs: number };

export interface Step {
  /** Nothing happens so long. */
  calmMs: number;
  shape: Shape | undefined;
  /** So long after the shape has begun the break comes, or the shape ends. */
  afterMs: number;
  break: Break | undefined;
}

export const SHAPES: readonly Shape["kind"][] = ["stall", "slow", "latency", "slicer"];
export const BREAKS: readonly Break["kind"][] = ["cut", "down", "black-hole", "reset", "cut-after"];
/**
 * Toxiproxy does not notice that a stalled connection is gone, and waits for it when the stall is to end. While bytes are held
 * back it locks itself up if it has to change something about a connection whose peer closes it at that moment.
 */
const BREAKS_UNDER: Record<Shape["kind"], ReadonlyArray<Break["kind"]>> = {
  stall: [],
  slow: ["cut", "down"],
  latency: BREAKS,
  slicer: BREAKS,
};
const CALM_MS = [200, 3_000] as const;
/**
 * Toxiproxy loses a chunk when it has to change something for a receiver that has stalled for 5 s, which no network does: a
 * stall is over before, however busy the machine.
 */
const SHAPED_MS = [200, 2_000] as const;
const BROKEN_MS = [200, 2_000] as const;
/** Longer than a keepalive. */
const HOLE_MS = [500, 4_000] as const;
const WAYS: readonly Way[] = ["upstream", "downstream", "both"];

export class Schedule {
  readonly #draw: Draw;

  constructor(seed: number) {
    this.#draw = new Draw(seed);
  }

  next(): Step {
    const draw = this.#draw;
    const which = draw.below(4);
    const shape = which === 0 ? undefined : this.#shape();
    const afterMs = shape === undefined ? 0 : draw.between(...SHAPED_MS);
    const step: Step = { calmMs: draw.between(...CALM_MS), shape, afterMs, break: undefined };
    const breaks = shape === undefined ? BREAKS : BREAKS_UNDER[shape.kind];
    if (which === 1 || breaks.length === 0) return step;
    return { ...step, break: this.#break(draw.of(breaks)) };
  }

  #shape(): Shape {
    const draw = this.#draw;
    const kind = draw.of(SHAPES);
    switch (kind) {
      case "stall":
        return { kind, way: draw.of(WAYS) };
      case "slow":
        return { kind, way: draw.of(WAYS), kilobytesPerSecond: draw.between(20, 400) };
      case "latency": {
        const delayMs = draw.between(20, 300);
        return { kind, delayMs, jitterMs: draw.below(delayMs) };
      }
      case "slicer":
        return { kind, way: draw.of(WAYS), bytes: draw.between(20, 500) };
    }
  }

  #break(kind: Break["kind"]): Break {
    const draw = this.#draw;
    const way = draw.of(["upstream", "downstream"] as const);
    switch (kind) {
      case "cut":
        return { kind };
      case "down":
        return { kind, holdMs: draw.between(...BROKEN_MS) };
      case "black-hole":
        return { kind, way: draw.of(WAYS), holdMs: draw.between(...HOLE_MS) };
      case "reset":
        return { kind, way, holdMs: draw.between(...BROKEN_MS) };
      case "cut-after":
        return {
          kind,
          way,
          bytes: draw.oneIn(2) ? draw.below(600) : draw.below(60_000),
          holdMs: draw.between(...BROKEN_MS),
        };
    }
  }
}

export function describe({ shape, afterMs, break: broken }: Step): string {
  const parts: string[] = [];
  if (shape !== undefined) parts.push(`${shapeInWords(shape)} for ${afterMs} ms`);
  if (broken !== undefined) parts.push(breakInWords(broken));
  return parts.join(", then ");
}

function shapeInWords(shape: Shape): string {
  switch (shape.kind) {
    case "stall":
      return `stall ${shape.way}`;
    case "slow":
      return `slow ${shape.way} ${shape.kilobytesPerSecond} KB/s`;
    case "latency":
      return `latency ${shape.delayMs} ms and up to ${shape.jitterMs} more`;
    case "slicer":
      return `slicer ${shape.way} ${shape.bytes} bytes`;
  }
}

function breakInWords(broken: Break): string {
  switch (broken.kind) {
    case "cut":
      return "cut";
    case "down":
      return `down for ${broken.holdMs} ms`;
    case "black-hole":
    case "reset":
      return `${broken.kind} ${broken.way} for ${broken.holdMs} ms`;
    case "cut-after":
      return `cut-after ${broken.bytes} bytes ${broken.way} for ${broken.holdMs} ms`;
  }
}
