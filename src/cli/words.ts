/** Texts and figures as the command prints them for people. */
import type { StateChange } from "../index.ts";

export function describeChange(change: StateChange): string {
  switch (change.to) {
    case "connecting":
      return `connecting, attempt ${change.attempt} (${change.reason})`;
    case "connected":
      return change.from === "suspect"
        ? `connected again (${change.reason})`
        : `connected: ${change.session === "new" ? "a new session" : "the session is resumed"}`;
    case "reconnecting": {
      const why = change.error === undefined ? change.reason : `${change.error.code}: ${change.error.message}`;
      // A server's link has no attempts: its client dials.
      return change.attempt > 0
        ? `no connection (${why}); attempt ${change.attempt} in ${Math.round(change.nextDelayMs)} ms`
        : `no connection (${why}); waiting for the client`;
    }
    case "suspect":
      return `suspect (${change.reason})`;
    case "idle":
      return `no connection (${change.reason})`;
    case "draining":
      return `draining (${change.reason})`;
    case "closed":
      return change.error === undefined ? "closed" : `closed: ${change.error.code}`;
  }
}

/** With three significant digits. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_024) return `${Math.round(bytes)} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"] as const;
  let value = bytes;
  let at = -1;
  do {
    value /= 1_024;
    at++;
  } while (value >= 1_000 && at < units.length - 1);
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[at] as string}`;
}

export function formatMs(ms: number | undefined): string {
  return ms === undefined ? "-" : `${formatCount(Math.round(ms))} ms`;
}

export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}
