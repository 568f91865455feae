/** How a server goes away: its readiness, its listener, its links, and the time that each of them has. */
import { checkCloseAll } from "../link/check.ts";
import { DEFAULT_CLOSE_MS } from "../link/closing.ts";
import { invalidWord } from "../link/errors.ts";
import type { Clock } from "../link/ports.ts";
import type { CloseOptions, Link, LinkReport } from "../link/types.ts";
import { timedWait } from "../link/waits.ts";

/** Options of a server's close(). */
export interface DrainOptions extends CloseOptions {
  /**
   * New clients are still let in for so long, while health() is 'down' already: until the load balancer has noticed.
   * Part of `deadlineMs`. Default 0; in Kubernetes 5,000.
   */
  readyDelayMs?: number;
}

export type ResolvedDrain = Required<Omit<DrainOptions, "signal">> & Pick<DrainOptions, "signal">;

/** Throws INVALID_OPTION. */
export function resolveDrain(options: DrainOptions): ResolvedDrain {
  checkCloseAll(options);
  const { deadlineMs = DEFAULT_CLOSE_MS, readyDelayMs = 0, signal } = options;
  if (readyDelayMs > deadlineMs) {
    throw invalidWord("readyDelayMs", readyDelayMs, `at most deadlineMs, which is ${deadlineMs}`);
  }
  return { deadlineMs, readyDelayMs, ...(signal && { signal }) };
}

/** While new clients go on coming, the listener is closed after so long, or after this part of the time. */
const MOST_ACCEPT_MS = 1_000;
const ACCEPT_PART = 0.25;
/** The first turn may have polled before it was asked for. */
const QUIET_TURNS = 2;

/**
 * Resolves when no connection waits to be accepted: closing the listener would reset it. Node accepts one in each turn
 * of the event loop. `accepted` answers how many there were so far.
 */
export async function acceptWaiting(
  accepted: () => number,
  clock: Pick<Clock, "now" | "afterPoll">,
  deadlineMs: number,
): Promise<void> {
  const untilMs = clock.now() + Math.min(MOST_ACCEPT_MS, ACCEPT_PART * deadlineMs);
  for (let quietTurns = 0; quietTurns < QUIET_TURNS && clock.now() < untilMs;) {
    const before = accepted();
    await new Promise<void>((resolve) => clock.afterPoll(resolve, undefined));
    quietTurns = accepted() === before ? quietTurns + 1 : 0;
  }
}

/** The parts of a server that goes away. */
export interface Draining {
  clock: Clock;
  /** Undefined: the server listens nowhere. */
  listener: { readonly accepted: number; stopListening(): void } | undefined;
  links: {
    readonly acceptsWhileDraining: boolean;
    drain(options: CloseOptions): Promise<Map<Link, LinkReport>>;
  };
}

/** Resolves with the report of each link. The deadline counts from now. */
export async function drain(server: Draining, options: ResolvedDrain): Promise<Map<Link, LinkReport>> {
  const { clock, listener, links } = server;
  const { deadlineMs, readyDelayMs, signal } = options;
  const untilMs = clock.now() + deadlineMs;
  const leftMs = (): number => Math.max(0, Math.ceil(untilMs - clock.now()));
  if (readyDelayMs > 0) await passed(clock, readyDelayMs, signal);
  if (listener !== undefined && !links.acceptsWhileDraining) {
    await acceptWaiting(() => listener.accepted, clock, leftMs());
    listener.stopListening();
  }
  const reports = await links.drain({ deadlineMs: leftMs(), ...(signal && { signal }) });
  if (links.acceptsWhileDraining) listener?.stopListening();
  return reports;
}

/** Resolves after so long, or when the signal is aborted. */
export async function passed(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted === true) return;
  const wait = timedWait(clock, clock.now() + ms);
  signal?.addEventListener("abort", wait.end, { once: true });
  await wait.promise;
  signal?.removeEventListener("abort", wait.end);
}
