/** The deadline of a close(). */
import type { Clock } from "./ports.ts";

export const DEFAULT_CLOSE_MS = 5_000;

/** Calls `expire` when the deadline has passed or the signal is aborted, unless `closed` comes first. */
export function limitDrain(
  clock: Clock,
  deadlineMs: number,
  signal: AbortSignal | undefined,
  closed: Promise<unknown>,
  expire: () => void,
): void {
  const timer = clock.timer(expire);
  const early = (): void => clock.defer(expire);
  timer.set(clock.now() + deadlineMs);
  if (signal?.aborted === true) early();
  else signal?.addEventListener("abort", early, { once: true });
  void closed.then(() => {
    timer.clear();
    signal?.removeEventListener("abort", early);
  });
}
