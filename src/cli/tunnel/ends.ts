/** What running either end of a tunnel has in common: metrics, readiness, signals, the drain. */
import { type Monitor, monitor, type MonitorOptions } from "../../index.ts";
import { formatAddress } from "../address.ts";
import { EXIT } from "../exit-codes.ts";
import { notify } from "./notify.ts";
import type { Output } from "./output.ts";
import { Shutdown } from "./shutdown.ts";
import type { CommonArguments } from "./types.ts";

export interface RunningEnd {
  /** Begins to listen; answers where. */
  listen(): Promise<string[]>;
  readonly sources: MonitorOptions["sources"];
  /** Answers how many connections were reset. */
  close(drainMs: number, atOnce: AbortSignal): Promise<number>;
}

/** Until a signal ends it. Answers the exit code. */
export async function runEnd(
  end: RunningEnd,
  { surviveMs, drainMs, metrics, notes }: Pick<CommonArguments, "surviveMs" | "drainMs" | "metrics" | "notes">,
  { log, say }: Output,
): Promise<number> {
  const shutdown = new Shutdown();
  let monitored: Monitor | undefined;
  try {
    for (const where of await end.listen()) say(where);
    say(`connections survive ${surviveMs / 1_000} s without a path; those of an end that is restarted are reset`);
    for (const note of notes) log("warn", "tunnel.unprotected", note);
    monitored = metrics === undefined ? undefined : await observed(metrics, end.sources, say);
    await notify("ready", say);
    const signal = await shutdown.begun;
    await notify("stopping", say);
    say(`${signal}: connections may end within ${drainMs / 1_000} s; once more resets them at once`);
    const left = await end.close(drainMs, shutdown.atOnce);
    say(left === 0 ? "closed: every connection had ended" : `closed: ${left} connections were reset`);
    return left === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    await monitored?.close();
    shutdown.dispose();
  }
}

async function observed(
  { host, port }: NonNullable<CommonArguments["metrics"]>,
  sources: MonitorOptions["sources"],
  say: Output["say"],
): Promise<Monitor> {
  const monitored = monitor({ host, port, sources });
  const at = await monitored.listening();
  say(`health and metrics at http://${formatAddress(at)}/`);
  return monitored;
}
